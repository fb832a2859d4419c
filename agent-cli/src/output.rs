//! The one place that writes to the terminal.
//!
//! Standard output carries what was asked for, standard error all the rest. A reader that goes away (`agent … | head`) is no
//! error: see [`Output::is_closed`].

use std::{
    fmt,
    io::{self, IsTerminal, Write},
};

use crate::{
    exit::{Exit, Failure},
    secret,
    terminal::{self, Style},
};

/// Standard output and standard error.
pub(crate) struct Output {
    out: Box<dyn Write + Send>,
    err: Box<dyn Write + Send>,
    /// What standard output can show.
    pub(crate) out_style: Style,
    /// What standard error can show.
    pub(crate) err_style: Style,
    closed: bool,
}

impl Output {
    /// The process's own streams.
    pub(crate) fn standard() -> Self {
        let style = |is_terminal| Style::of(is_terminal, |name| std::env::var_os(name));
        Self {
            out: Box::new(io::stdout()),
            err: Box::new(io::stderr()),
            out_style: style(io::stdout().is_terminal()),
            err_style: style(io::stderr().is_terminal()),
            closed: false,
        }
    }

    /// Writes to standard output at once. The text must be safe already.
    ///
    /// # Errors
    ///
    /// What could not be written, except that nobody reads any more.
    pub(crate) fn write(&mut self, text: impl fmt::Display) -> Result<(), Failure> {
        if self.closed {
            return Ok(());
        }
        let written = write!(self.out, "{text}").and_then(|()| self.out.flush());
        match written {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.closed = true;
                Ok(())
            }
            Err(error) => Err(Failure::new(
                Exit::Failed,
                format!("standard output cannot be written: {error}"),
            )
            .advice("Look at where it is redirected to.")),
            Ok(()) => Ok(()),
        }
    }

    /// Writes a line to standard output.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    pub(crate) fn line(&mut self, text: impl fmt::Display) -> Result<(), Failure> {
        self.write(format_args!("{text}\n"))
    }

    /// Writes a line to standard error, made safe and without keys. Nobody can be told where that fails, so nobody is.
    pub(crate) fn note(&mut self, text: impl fmt::Display) {
        let text = text.to_string();
        let redacted = secret::redact(text.trim_end());
        let _ = writeln!(self.err, "{}", terminal::safe(&redacted));
    }

    /// Writes a question to standard error, on a line that stays open for the answer; made safe as a note is.
    pub(crate) fn prompt(&mut self, text: impl fmt::Display) {
        let text = text.to_string();
        let redacted = secret::redact(&text);
        let _ = write!(self.err, "{} ", terminal::safe(&redacted));
        let _ = self.err.flush();
    }

    /// Whether nobody reads standard output any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// A stream to look into.
    #[derive(Clone, Default)]
    pub(crate) struct Captured(Arc<Mutex<Vec<u8>>>);

    impl Captured {
        pub(crate) fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A stream that fails.
    struct Failing(io::ErrorKind);

    impl Write for Failing {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn output(out: impl Write + Send + 'static, err: impl Write + Send + 'static) -> Output {
        Output {
            out: Box::new(out),
            err: Box::new(err),
            out_style: Style::PLAIN,
            err_style: Style::PLAIN,
            closed: false,
        }
    }

    #[test]
    fn a_reader_that_went_away_is_no_error() {
        let mut output = output(Failing(io::ErrorKind::BrokenPipe), Captured::default());
        output.line("one").unwrap();
        assert!(output.is_closed());
        output.line("two").unwrap();
    }

    #[test]
    fn a_full_disk_is_an_error() {
        let mut output = output(Failing(io::ErrorKind::StorageFull), Captured::default());
        let failure = output.line("one").unwrap_err();
        assert_eq!(failure.exit, Exit::Failed);
        assert!(!output.is_closed());
        assert_eq!(output.out_style, output.err_style);
    }

    #[test]
    fn notes_are_safe_and_hold_no_key() {
        let err = Captured::default();
        let mut output = output(Captured::default(), err.clone());
        output.note("bad \x1b[2J sk-proj-abcdefghijklmnopqrstuvwx\n");
        assert_eq!(err.text(), "bad \\x1b[2J [redacted:key]\n");
    }

    #[test]
    fn a_closed_standard_error_is_ignored() {
        let mut output = output(Captured::default(), Failing(io::ErrorKind::BrokenPipe));
        output.note("nobody hears this");
    }
}
