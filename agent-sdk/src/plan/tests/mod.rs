mod corners;
mod files;
mod format;
mod hand;
mod machine;
mod mistakes;
pub(crate) mod oracle;
mod references;
mod show;
