//! The prompt: an argument, or standard input.

use std::io::{self, Read};

use crate::exit::Failure;

/// The longest prompt that is read, in bytes.
const BYTES: u64 = 10 * 1024 * 1024;

/// The prompt that an argument stands for.
///
/// # Errors
///
/// Standard input cannot be read, is too long or is no text; or the prompt is empty.
pub(crate) fn read(argument: &str) -> Result<String, Failure> {
    let prompt = if argument == "-" {
        read_from(io::stdin().lock())?
    } else {
        argument.to_owned()
    };
    if prompt.trim().is_empty() {
        return Err(Failure::usage("the prompt is empty")
            .advice("Write it as an argument, or pass `-` and write it to standard input."));
    }
    Ok(prompt)
}

fn read_from(input: impl Read) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    input
        .take(BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::usage(format!("standard input cannot be read: {error}")))?;
    if bytes.len() as u64 > BYTES {
        return Err(
            Failure::usage("the prompt on standard input is longer than 10 MiB")
                .advice("Shorten it, or let the model read files with `--workspace`."),
        );
    }
    String::from_utf8(bytes).map_err(|error| {
        let place = error.utf8_error().valid_up_to();
        Failure::usage(format!(
            "the prompt on standard input is no UTF-8 text: byte {place} is wrong"
        ))
        .advice("Convert it to UTF-8 first.")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_text_of_a_sane_length_is_a_prompt() {
        assert_eq!(read("hi").unwrap(), "hi");
        assert_eq!(read_from("hé".as_bytes()).unwrap(), "hé");
        let failure = |input: &[u8]| read_from(input).unwrap_err().to_string();
        assert!(failure(b"ab\xff").contains("byte 2 is wrong"));
        assert!(failure(&vec![b'a'; 10 * 1024 * 1024 + 1]).contains("longer than 10 MiB"));
        assert!(read(" \n").unwrap_err().to_string().contains("empty"));
    }
}
