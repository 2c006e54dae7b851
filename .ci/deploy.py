"""What is in deploy/, as far as it can be tried without Docker and Kubernetes: each file is read by the program that will read it, or
by its own schema, and what it says of Amends is held against the binary.

Needs the binaries (`cargo build --workspace --bins`) and what .ci/tools installs. Nothing is started that stays, and nothing asks the
network. What can't be tried here is listed in coordinator/docs/deploy.md.
"""

import fnmatch
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import jsonschema
import yaml

ROOT = Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "deploy"
CHART = DEPLOY / "helm/amends"
TOOLS = ROOT / "target/tools"
# The oldest that the chart takes, a current one, and the newest that there are schemas of.
KUBERNETES = ["1.30", "1.34", "1.37"]
# Of 10; what is left is that it speaks over the network with whoever it is told to.
EXPOSURE_MAX = 1.5


def run(*words, **more):
    return subprocess.run([str(word) for word in words], capture_output=True, text=True, cwd=more.pop("cwd", ROOT), **more)


def must(test, *words, **more):
    done = run(*words, **more)
    test.assertEqual(done.returncode, 0, f"{words}:\n{done.stdout}{done.stderr}")
    return done.stdout


def binary(name):
    path = ROOT / "target/debug" / name
    if not path.exists():
        sys.exit(f"{path} is missing: run `cargo build --workspace --bins` first")
    return path


def tool(name):
    found = next((path for path in (TOOLS / name, Path(sys.executable).parent / name) if path.exists()), None) or shutil.which(name)
    if not found:
        sys.exit(f"{name} is not on this machine: run .ci/tools (or `make tools`), which installs it")
    return found


def seconds(text):
    number, unit = re.fullmatch(r"(\d+)(ms|s|m)", text).groups()
    return int(number) * {"ms": 0.001, "s": 1, "m": 60}[unit]


DEFAULTS = yaml.safe_load(must(unittest.TestCase(), binary("amends"), "serve", "--print-config"))
SERVE_HELP = must(unittest.TestCase(), binary("amends"), "serve", "--help")


def accepted_flags(words):
    """`--insecure-i-know` comes with TLS; until then the server has no such flag, and listens on loopback only."""
    return [word for word in words if word != "--insecure-i-know" or word in SERVE_HELP]


def assert_settings(test, settings="", environment=()):
    """The server would take these settings; nothing is served. Addresses become loopback ones, so that this doesn't depend on
    certificates; sections that this binary doesn't have yet are left out."""
    tree = {name: section for name, section in (yaml.safe_load(settings) or {}).items()
            if name in DEFAULTS or name not in ("tls", "outgoing_tls", "auth", "telemetry")}
    text = yaml.safe_dump(tree).replace(" 0.0.0.0:", " 127.0.0.1:")
    loopback = {name: re.sub(r"^0\.0\.0\.0:", "127.0.0.1:", value) for name, value in dict(environment).items()}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "amends.yaml"
        file.write_text(text)
        own = {"AMENDS__STORE__DATA": folder, "PATH": os.environ["PATH"]}
        done = run(binary("amends"), "doctor", "--config", file, env={**loopback, **own})
    # 1: nobody answers at the store's address. 2 would be: these settings make no sense.
    test.assertIn(done.returncode, (0, 1), f"{text}\n{loopback}\n{done.stderr}")


class Docker(unittest.TestCase):
    FILES = sorted((DEPLOY / "docker").glob("*Dockerfile"))

    def test_hadolint_finds_nothing(self):
        self.assertEqual(len(self.FILES), 2)
        must(self, tool("hadolint"), "--failure-threshold", "info", *self.FILES)

    def test_the_image_has_no_root_and_says_how_it_is_asked(self):
        for file in self.FILES:
            final = file.read_text().rsplit("\nFROM ", 1)[1]
            self.assertRegex(final, r"(?m)^USER [1-9]\d+:[1-9]\d+$")
            self.assertIn("\nHEALTHCHECK ", final)
            self.assertIn("debian:bookworm-slim", final.splitlines()[0])
        health = json.loads(re.search(r"(?m)^    CMD (\[.*\])$", self.FILES[0].read_text()).group(1))
        self.assertEqual(health[0], "/usr/local/bin/amends")
        must(self, binary("amends"), *health[1:], "--help")

    def test_what_the_build_needs_is_sent_to_it(self):
        ignored = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
        def is_ignored(path):
            return any(fnmatch.fnmatch(path, f"{start}{rule.removeprefix('**/')}{end}")
                       for rule in ignored for start in (["", "*/"] if rule.startswith("**/") else [""]) for end in ("", "/*"))
        self.assertTrue(is_ignored("target/debug/amends") and is_ignored("examples/python/.venv/bin/x") and is_ignored(".git/config"))
        with tempfile.TemporaryDirectory() as folder:
            for name in must(self, "git", "ls-files", "-z").split("\0"):
                if name and not is_ignored(name) and (ROOT / name).is_file():
                    copy = Path(folder) / name
                    copy.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy(ROOT / name, copy)
            # A machine that has built this has no sources of what only other platforms need.
            host = re.search(r"(?m)^host: (\S+)$", must(self, "rustc", "-vV")).group(1)
            metadata = ["--locked", "--offline", "--format-version", "1", "--filter-platform", host]
            packages = json.loads(must(self, "cargo", "metadata", *metadata, cwd=folder))["packages"]
        built = {name for file in self.FILES for name in re.findall(r" -p (\S+)", file.read_text())}
        self.assertEqual(built, {"amends", "amends-account", "amends-inventory", "amends-payment"})
        own = {package["name"]: package for package in packages if package["source"] is None}
        for name in built:
            self.assertIn(name, [target["name"] for target in own[name]["targets"] if "bin" in target["kind"]])
        # The version of Rust is the one that the crates ask for.
        for file in self.FILES:
            self.assertIn(f"ARG RUST={own['amends']['rust_version']}\n", file.read_text())


class Compose(unittest.TestCase):
    def setUp(self):
        text = (DEPLOY / "compose/compose.yaml").read_text()
        # The validator doesn't look into the environment.
        text = re.sub(r"\$\{REDIS_PASSWORD:\?[^}]*\}", "abc123", text)
        self.assertNotIn("${", text)
        model = must(self, tool("compose-spec"), "-format", "json", "-", cwd=DEPLOY / "compose", input=text)
        self.model = json.loads(model)
        self.services = self.model["services"]

    def coordinators(self):
        return {name: service for name, service in self.services.items() if name.startswith("amends-")}

    def test_three_coordinators_that_the_server_would_take(self):
        coordinators = self.coordinators()
        self.assertEqual(len(coordinators), 3)
        for name, service in coordinators.items():
            environment = service["environment"]
            self.assertEqual(environment["AMENDS__NODE"], name)
            self.assertEqual(environment["AMENDS__GRPC__ADVERTISE"], f"http://{name}:7400")
            must(self, binary("amends"), *accepted_flags(service["command"]), "--print-config")
            url = "AMENDS__STORE__REDIS__URL"
            # Nobody listens there.
            assert_settings(self, environment={**environment, url: environment[url].replace("@redis:6379", "@127.0.0.1:1")})
            self.assertGreaterEqual(seconds(service["stop_grace_period"]), seconds(DEFAULTS["shutdown"]["grace"]) + 5)

    def test_nothing_is_published_but_to_this_machine_and_redis_to_nobody(self):
        for name, service in self.services.items():
            for port in service.get("ports", []):
                self.assertEqual(port["host_ip"], "127.0.0.1", name)
            self.assertTrue(service.get("read_only") or name == "redis", name)
        self.assertNotIn("ports", self.services["redis"])
        self.assertEqual(list(self.services["redis"]["networks"]), ["store"])

    def test_what_is_named_is_there(self):
        for name, service in self.services.items():
            for of, names in (("services", service.get("depends_on", {})), ("networks", service["networks"]),
                              ("volumes", [it["source"] for it in service["volumes"] if it["type"] == "volume"])):
                self.assertLessEqual(set(names), set(self.model[of]), name)

    def test_participants_take_their_commands(self):
        for name in ("account", "inventory", "payment"):
            program, *arguments = self.services[name]["command"]
            self.assertEqual(program, f"/usr/local/bin/amends-{name}")
            must(self, binary(f"amends-{name}"), *arguments, "--help")

    def test_redis_runs_on_the_example_configuration(self):
        redis = self.services["redis"]
        self.assertEqual(redis["command"][:2], ["redis-server", "/etc/redis/redis.conf"])
        mounted = {volume["target"]: volume["source"] for volume in redis["volumes"]}
        self.assertEqual(Path(mounted["/etc/redis/redis.conf"]).resolve(), (DEPLOY / "redis/redis.conf").resolve())
        # The user is the one that the file tells to make.
        user = re.search(r"ACL SETUSER (.*)", (DEPLOY / "redis/redis.conf").read_text()).group(1).split(" ")
        self.assertIn(" ".join(user).replace(">password", ">abc123"), " ".join(redis["command"]))


VALUES = [file.name.removesuffix("-values.yaml") for file in sorted((CHART / "ci").glob("*-values.yaml"))]


class Chart(unittest.TestCase):
    def template(self, *arguments, version=KUBERNETES[1]):
        return run(tool("helm"), "template", "amends", CHART, "--namespace", "pay", "--kube-version", f"{version}.0", *arguments)

    def rendered(self, values, version=KUBERNETES[1]):
        done = self.template("--api-versions", "monitoring.coreos.com/v1", "--values", CHART / f"ci/{values}-values.yaml", version=version)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def objects(self, values):
        return {(it["kind"], it["metadata"]["name"]): it for it in yaml.safe_load_all(self.rendered(values)) if it}

    def test_lint_finds_nothing(self):
        for name in VALUES:
            must(self, tool("helm"), "lint", "--strict", CHART, "--values", CHART / f"ci/{name}-values.yaml")

    def test_every_object_has_the_form_that_kubernetes_wants(self):
        crd = next(iter((TOOLS / "crds").glob("*servicemonitors.yaml")))
        schema = yaml.safe_load(crd.read_text())["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        monitors = 0
        for name in VALUES:
            for version in KUBERNETES:
                with tempfile.TemporaryDirectory() as folder:
                    file = Path(folder) / "rendered.yaml"
                    known = []
                    for it in filter(None, yaml.safe_load_all(self.rendered(name, version))):
                        if it["apiVersion"].startswith("monitoring.coreos.com/"):
                            jsonschema.validate(it, schema)
                            self.assertLessEqual(it["spec"].keys(), schema["properties"]["spec"]["properties"].keys())
                            monitors += 1
                        else:
                            known.append(it)
                    file.write_text(yaml.safe_dump_all(known))
                    done = run(tool("kubernetes-validate"), "--kubernetes-version", version, "--strict", file)
                    said = done.stdout + done.stderr
                    self.assertEqual(done.returncode, 0, said)
                    self.assertEqual(said.count(" passed for resource "), len(known), said)
        self.assertEqual(monitors, len(KUBERNETES))

    def test_what_makes_no_sense_is_refused_with_the_reason(self):
        refused = sorted((CHART / "ci/refused").glob("*.yaml"))
        self.assertGreater(len(refused), 6)
        for file in refused:
            words = file.read_text().splitlines()[0].removeprefix("# says: ")
            done = self.template("--values", file)
            self.assertNotEqual(done.returncode, 0, file)
            self.assertIn(words, done.stderr, file)

    def test_the_settings_are_the_servers(self):
        for values in VALUES:
            objects = self.objects(values)
            settings = objects["ConfigMap", "amends"]["data"]["amends.yaml"]
            redis = {"AMENDS__STORE__REDIS__URL": "redis://127.0.0.1:1"} if "kind: redis" in settings else {}
            # A file that only the pod has.
            assert_settings(self, re.sub(r"(?m)^ +ca_file: .*\n", "", settings), redis)
            pod = objects["StatefulSet", "amends"]["spec"]["template"]["spec"]
            must(self, binary("amends"), *accepted_flags(pod["containers"][0]["args"]), "--print-config")

    def test_a_pod_has_the_time_to_hand_over_and_rights_to_nothing(self):
        for values in VALUES:
            objects = self.objects(values)
            pod = objects["StatefulSet", "amends"]["spec"]["template"]["spec"]
            container = pod["containers"][0]
            grace = seconds(yaml.safe_load(objects["ConfigMap", "amends"]["data"]["amends.yaml"])["shutdown"]["grace"])
            sleep = container["lifecycle"]["preStop"]["sleep"]["seconds"]
            self.assertGreaterEqual(pod["terminationGracePeriodSeconds"], sleep + grace + 5)
            # It is out of its services before it is told to stop.
            probe = container["readinessProbe"]
            self.assertGreaterEqual(sleep, probe["periodSeconds"] * probe["failureThreshold"])
            self.assertTrue(container["securityContext"]["readOnlyRootFilesystem"] and pod["securityContext"]["runAsNonRoot"])
            self.assertEqual(container["securityContext"]["capabilities"], {"drop": ["ALL"]})
            self.assertFalse(pod["automountServiceAccountToken"])
            written = [mount["mountPath"] for mount in container["volumeMounts"] if not mount.get("readOnly")]
            self.assertEqual(written, ["/var/lib/amends"])

    def test_the_kubelet_asks_what_it_may(self):
        def probe(values):
            return self.objects(values)["StatefulSet", "amends"]["spec"]["template"]["spec"]["containers"][0]["readinessProbe"]
        self.assertEqual(probe("trial")["httpGet"], {"path": "/readyz", "port": "http", "scheme": "HTTP"})
        self.assertEqual(probe("optional-certificates")["httpGet"]["scheme"], "HTTPS")
        self.assertEqual(probe("production")["tcpSocket"], {"port": "http"})

    def test_no_secret_is_in_what_is_rendered(self):
        for values in VALUES:
            text = self.rendered(values)
            self.assertNotIn("kind: Secret", text)
            self.assertNotRegex(text, r"redis(s)?://")

    def test_the_notes_warn_of_a_trial(self):
        with tempfile.TemporaryDirectory() as folder:
            chart = shutil.copytree(CHART, Path(folder) / "amends")
            # Helm shows them only when it installs.
            notes = (chart / "templates/NOTES.txt").read_text()
            wrapped = ('{{ define "notes" }}' + notes + "{{ end }}\napiVersion: v1\nkind: ConfigMap\n"
                       'data: { notes: {{ include "notes" . | toJson }} }\n')
            (chart / "templates/notes.yaml").write_text(wrapped)
            for values, warned in (("trial", True), ("production", False)):
                shown = must(self, tool("helm"), "template", "amends", chart, "--kube-version", "1.34.0",
                             "--api-versions", "monitoring.coreos.com/v1", "--values", CHART / f"ci/{values}-values.yaml", "--show-only", "templates/notes.yaml")
                text = yaml.safe_load(shown)["data"]["notes"]
                self.assertIn("amends cluster nodes", text)
                self.assertEqual("WARNING: insecure" in text, warned)


class Units(unittest.TestCase):
    NAMES = ["amends.service", "amends-backup.service", "amends-backup.timer"]

    def test_systemd_reads_them(self):
        with tempfile.TemporaryDirectory() as folder:
            for name in self.NAMES:
                text = (DEPLOY / "systemd" / name).read_text()
                # Where the program is on this machine.
                (Path(folder) / name).write_text(text.replace("/usr/bin/amends", str(binary("amends"))))
            for name in self.NAMES:
                done = run(tool("systemd-analyze"), "verify", "--man=no", "--recursive-errors=one", Path(folder) / name)
                own = [line for line in done.stderr.splitlines() if "amends" in line and "not found" not in line]
                self.assertEqual((done.returncode, own), (0, []), done.stderr)

    def test_little_is_left_to_a_broken_process(self):
        for name in self.NAMES[:2]:
            threshold = f"--threshold={int(EXPOSURE_MAX * 10)}"
            must(self, tool("systemd-analyze"), "security", "--offline=true", threshold, DEPLOY / "systemd" / name)

    def test_there_is_time_to_stop_and_the_command_is_the_binarys(self):
        unit = (DEPLOY / "systemd/amends.service").read_text()
        setting = dict(line.split("=", 1) for line in unit.splitlines() if re.match(r"[A-Z]\w+=", line))
        self.assertGreaterEqual(seconds(setting["TimeoutStopSec"]), seconds(DEFAULTS["shutdown"]["grace"]) + 5)
        _, *arguments = setting["ExecStart"].split()
        must(self, binary("amends"), *arguments, "--print-config")

    def test_user_and_folders_are_made(self):
        with tempfile.TemporaryDirectory() as root:
            Path(root, "etc").mkdir()
            must(self, tool("systemd-sysusers"), f"--root={root}", DEPLOY / "systemd/sysusers.conf")
            self.assertIn("amends:", Path(root, "etc/passwd").read_text())
            must(self, tool("systemd-tmpfiles"), f"--root={root}", "--create", DEPLOY / "systemd/tmpfiles.conf")
            self.assertEqual(oct(Path(root, "var/backups/amends").stat().st_mode)[-3:], "700")

    def test_the_backup_is_the_binarys_and_goes_where_it_is_swept(self):
        unit = (DEPLOY / "systemd/amends-backup.service").read_text()
        command = re.search(r"(?m)^ExecStart=/bin/sh -c '(.*)'$", unit).group(1).replace("%%", "%")
        self.assertIn("d /var/backups/amends ", (DEPLOY / "systemd/tmpfiles.conf").read_text())
        with tempfile.TemporaryDirectory() as folder:
            places = {"/usr/bin/amends": binary("amends"), "/var/lib/amends": f"{folder}/store", "/var/backups/amends": folder}
            for there, here in places.items():
                self.assertIn(there, command)
                command = command.replace(there, str(here))
            # It gets as far as looking for the store.
            self.assertIn("there is no store in", run("/bin/sh", "-c", command).stderr)


if __name__ == "__main__":
    os.environ.pop("AMENDS_ADDRESS", None)
    unittest.main(verbosity=2)
