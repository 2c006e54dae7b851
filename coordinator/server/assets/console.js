// What pages can do beyond links and forms: keyboard, theme, times, and what moves by itself. Every page works without it.
//
// It only reads pages of the console and exchanges the part with id "live"; it never sends a form by itself.
"use strict";

const $ = (selector, within = document) => within.querySelector(selector);
const $$ = (selector, within = document) => [...within.querySelectorAll(selector)];

// --- theme: a cookie, so that the next page comes in it already
const themes = ["system", "light", "dark"];
const themeButton = $("#theme");
function showTheme() {
  const now = document.documentElement.dataset.theme;
  themeButton.textContent = { system: "Auto", light: "Light", dark: "Dark" }[now];
  themeButton.hidden = false;
}
themeButton.addEventListener("click", () => {
  const root = document.documentElement;
  root.dataset.theme = themes[(themes.indexOf(root.dataset.theme) + 1) % themes.length];
  document.cookie = `amends-theme=${root.dataset.theme}; Path=/console; SameSite=Strict; Max-Age=31536000`;
  showTheme();
});
showTheme();

// --- times
function span(seconds) {
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86400)} d`;
}
function tick() {
  for (const time of $$("time[datetime]")) {
    const seconds = Math.round((Date.parse(time.dateTime) - Date.now()) / 1000);
    const text = seconds === 0 ? "now" : seconds < 0 ? `${span(-seconds)} ago` : `in ${span(seconds)}`;
    if (time.textContent !== text) time.textContent = text;
  }
}
setInterval(tick, 1000);

// --- keyboard
const keys = $("#keys");
const help = $("#help");
help.hidden = false;
help.addEventListener("click", () => keys.showModal());
let going = false;
function rows() {
  return $$("[data-rows] a[data-row]").filter((row) => row.offsetParent !== null);
}
function move(by) {
  const all = rows();
  if (!all.length) return;
  const at = all.indexOf(document.activeElement);
  all[Math.min(Math.max(at + by, 0), all.length - 1)].focus();
}
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || keys.open) return;
  const target = event.target;
  if (target.closest("input, textarea, select, [contenteditable]")) {
    if (event.key === "Escape") target.blur();
    return;
  }
  if (going) {
    going = false;
    const link = $(`nav a[data-key="${CSS.escape(event.key)}"]`);
    if (link) location.assign(link.href);
    return;
  }
  if (event.key === "g") {
    going = true;
    setTimeout(() => (going = false), 1500);
  } else if (event.key === "?") keys.showModal();
  else if (event.key === "j") move(1);
  else if (event.key === "k") move(-1);
  else if (event.key === "/") {
    const filter = $("[data-filter]");
    if (!filter) return;
    const folded = filter.closest("details");
    if (folded) folded.open = true;
    filter.focus();
    event.preventDefault();
  }
});

// --- forms: not twice by a double click
document.addEventListener("submit", (event) => {
  if (event.target.method !== "post") return;
  if (event.target.dataset.sent) event.preventDefault();
  event.target.dataset.sent = "yes";
});
// Coming back by the browser's cache, a form may be sent again.
window.addEventListener("pageshow", () => $$("form[data-sent]").forEach((form) => delete form.dataset.sent));

// --- what moves by itself
const live = $("#live");
let running = null;
let again = false;
async function refresh() {
  if (running) {
    again = true;
    return;
  }
  running = exchange();
  try {
    await running;
  } finally {
    running = null;
    if (again) {
      again = false;
      setTimeout(refresh, 250);
    }
  }
}
async function exchange() {
  let answer;
  try {
    answer = await fetch(location.href, { headers: { accept: "text/html" }, cache: "no-store" });
  } catch {
    return mark("reconnecting");
  }
  if (answer.status === 401) return location.reload();
  if (!answer.ok) return mark("reconnecting");
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const news = $("#live", page);
  if (!news) return;
  const open = new Set($$("details[open][id]", live).map((it) => it.id));
  const shut = new Set($$("details:not([open])[id]", live).map((it) => it.id));
  const focused = live.contains(document.activeElement) ? document.activeElement.id || document.activeElement.getAttribute("href") : null;
  live.replaceChildren(...news.childNodes);
  for (const it of $$("details[id]", live)) {
    if (open.has(it.id)) it.open = true;
    else if (shut.has(it.id)) it.open = false;
  }
  if (focused) {
    const back = document.getElementById(focused) || $(`a[href="${CSS.escape(focused)}"]`, live);
    if (back) back.focus({ preventScroll: true });
  }
  if (news.dataset.live) live.dataset.live = news.dataset.live;
  else if (live.dataset.live) {
    delete live.dataset.live;
    stop("ended");
  }
  if (!source && !live.dataset.live && live.dataset.refresh) mark("live");
  else if (marked) mark(marked);
  tick();
}
let marked = "";
function mark(state) {
  marked = state;
  for (const it of $$("[data-mark]")) {
    it.dataset.mark = state;
    it.textContent = state;
  }
}
let source = null;
function follow() {
  source = new EventSource(live.dataset.live);
  source.addEventListener("open", () => mark("live"));
  source.addEventListener("changed", refresh);
  source.addEventListener("ended", () => {
    stop("ended");
    refresh();
  });
  source.addEventListener("error", () => {
    mark("reconnecting");
    // A browser gives up for good where the answer is an error: the node may be restarting.
    if (source && source.readyState === EventSource.CLOSED) setTimeout(() => live.dataset.live && follow(), 2000);
  });
}
function stop(state) {
  if (source) source.close();
  source = null;
  mark(state);
}
function begin() {
  if (!live) return;
  if (live.dataset.live) follow();
}
if (live) {
  begin();
  const period = Number(live.dataset.refresh || 0) * 1000;
  if (period) {
    mark("live");
    setInterval(() => document.hidden || refresh(), period);
  }
  // A browser has six connections to a host: pages that nobody looks at keep none.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      if (source) stop("paused");
    } else {
      if (live.dataset.live && !source) follow();
      if (period || live.dataset.live) refresh();
    }
  });
}
