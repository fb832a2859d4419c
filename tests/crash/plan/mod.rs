//! A plan in a process that is killed at each request, resumed by another until it is over.

mod ladder;
mod process;
mod work;
