mod files;
mod format;
mod machine;
mod mistakes;
mod references;
mod show;
