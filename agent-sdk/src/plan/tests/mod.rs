mod corners;
mod files;
mod hand;
mod machine;
mod mistakes;
mod oracle;
mod references;
