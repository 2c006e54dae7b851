//! Real processes, one test binary: see the modules.

mod bench;
mod demo;
mod examples;
mod fleet;
mod kill;
mod languages;
mod languages_kill;
mod mistaken;
mod moving;
mod openapi;
mod orders;
mod pages;
mod process;
mod python;
mod qr;
mod redis_failover;
mod redis_kill;
mod redis_nodes;
mod redis_takeover;
mod redis_trouble;
mod shop;
mod transfer;
