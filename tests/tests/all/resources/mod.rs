//! What holds for every resource in the registry, on both databases.

mod conformance;
mod demo;
mod filters;
mod matrix;
mod pages;
mod roles;
