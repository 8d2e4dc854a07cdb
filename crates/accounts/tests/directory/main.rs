//! The directory side of the door over the memory store: who may do what, what settings take
//! effect, where addresses lead, who gets in.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod configuration;
mod counters;
mod imports;
mod logins;
mod modern_methods;
mod old_methods;
mod operations;
mod outside;
mod rights;
mod routes;
mod world;
