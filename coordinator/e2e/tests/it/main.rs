//! Real processes, one test binary: see the modules.

mod demo;
mod examples;
mod first_saga;
mod fleet;
mod kill;
mod languages;
mod languages_kill;
mod mistaken;
mod openapi;
mod python;
mod qr;
mod shop;
mod transfer;
