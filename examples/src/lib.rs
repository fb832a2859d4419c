//! Examples, one idea each: see the files in this package's `examples` folder. Each runs offline:
//! `cargo run -p agent-sdk-examples --example quickstart`.

/// The README, so that its Rust is compiled and run with the doc tests.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;

#[cfg(test)]
mod tests {
    #[test]
    fn the_readme_shows_the_quickstart_as_it_is() {
        let readme = include_str!("../../README.md");
        let example = include_str!("../examples/quickstart.rs");
        let (_, code) = example.split_once("\n\n").unwrap_or_default();
        assert!(
            !code.is_empty() && readme.contains(&format!("```rust\n{code}```")),
            "the README's quickstart is not examples/examples/quickstart.rs"
        );
    }
}
