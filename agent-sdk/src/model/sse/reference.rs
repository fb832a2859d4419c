//! The event-stream text, word by word, over a whole body at once: slow, and easy to check.

/// What a body decodes to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Decoded {
    /// Name, data and last event id of each event.
    pub(crate) events: Vec<(String, String, String)>,
    /// The last event id at the end of the body.
    pub(crate) last_id: String,
    /// The last `retry` value, in milliseconds.
    pub(crate) retry: Option<u64>,
    /// Whether a field, or the start of a line that is no comment, came after the last blank line.
    pub(crate) unfinished: bool,
}

/// Decodes a whole body.
pub(crate) fn decode(body: &[u8]) -> Decoded {
    let text = String::from_utf8_lossy(body);
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(&text);
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut lines: Vec<&str> = text.split('\n').collect();
    let partial = lines.pop().unwrap_or_default();

    let mut decoded = Decoded::default();
    let (mut name, mut data, mut id) = (String::new(), String::new(), String::new());
    for line in lines {
        if line.is_empty() {
            decoded.unfinished = false;
            decoded.last_id.clone_from(&id);
            let event = std::mem::take(&mut name);
            let mut data = std::mem::take(&mut data);
            if data.pop().is_some() {
                let event = if event.is_empty() {
                    "message".to_owned()
                } else {
                    event
                };
                decoded.events.push((event, data, id.clone()));
            }
            continue;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        decoded.unfinished |= !line.starts_with(':');
        match field {
            "data" => data = data + value + "\n",
            "event" => name = value.to_owned(),
            "id" if !value.contains('\0') => id = value.to_owned(),
            "retry" if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) => {
                decoded.retry = Some(value.parse().unwrap_or(u64::MAX));
            }
            _ => {}
        }
    }
    decoded.unfinished |= !(partial.is_empty() || partial.starts_with(':'));
    decoded
}
