//! What holds for every resource in the registry, on both databases.

mod bulk;
mod conformance;
mod custom;
mod demo;
mod exports;
mod filters;
mod imports;
mod matrix;
mod merge;
mod pages;
mod roles;
mod search;
mod stuck;
