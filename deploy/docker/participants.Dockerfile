# syntax=docker/dockerfile:1
# The three example participants, to try Amends with: amends-account, amends-inventory, amends-payment. One image, since they are
# built from the same crates; the command says which.
#
#   docker build -f deploy/docker/participants.Dockerfile -t amends-participants:0.1.0 .

ARG RUST=1.95
FROM rust:${RUST}-slim-bookworm AS build
WORKDIR /src
COPY . .
ENV CARGO_PROFILE_RELEASE_STRIP=debuginfo
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --locked --release -p amends-account -p amends-inventory -p amends-payment \
 && install -D -m 0755 -t /out/usr/local/bin target/release/amends-account target/release/amends-inventory target/release/amends-payment \
 && install -d -m 0700 /out/var/lib/participant

FROM debian:bookworm-slim
COPY --from=build --chown=65532:65532 /out/var/lib/participant /var/lib/participant
COPY --from=build /out/usr/local/bin/ /usr/local/bin/
USER 65532:65532
WORKDIR /var/lib/participant
ENV AMENDS_PARTICIPANT_DATA=/var/lib/participant
VOLUME ["/var/lib/participant"]
STOPSIGNAL SIGTERM
# There is no gRPC client in here. They serve grpc.health.v1: in Kubernetes, use a gRPC probe.
HEALTHCHECK NONE
CMD ["/usr/local/bin/amends-account"]
