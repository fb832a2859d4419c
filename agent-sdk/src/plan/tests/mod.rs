mod files;
mod machine;
mod mistakes;
mod references;
mod show;
