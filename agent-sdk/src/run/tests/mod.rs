mod driver;
mod machine;
