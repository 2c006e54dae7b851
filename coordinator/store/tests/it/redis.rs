//! The store on real Redis servers: the conformance suite, and what only a server far away can do to it.

mod cluster;
mod conformance;
mod judged;
mod logs;
mod network;
mod replicas;
mod servers;
mod tls;
mod transfer;
mod wiped;
