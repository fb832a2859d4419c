//! The event that is being read.

use super::{SseError, SseErrorKind, SseEvent, text};

/// The name of an event that the stream did not name.
const DEFAULT_NAME: &str = "message";

/// What the fields since the last blank line have set.
///
/// The first `data` value of an event is not in here but *held*, borrowed from the chunk, until
/// a second one or the end of the chunk comes: most events are over by then.
#[derive(Debug, Default)]
pub(super) struct Pending {
    /// Whether a field came after the last blank line.
    pub(super) open: bool,
    /// The id of the stream as the fields set it; it counts once its event has ended.
    pub(super) id: String,
    /// Whether a field of this event set the id; comparing ids would cost more than the rest.
    pub(super) sets_id: bool,
    /// The byte sequences read as U+FFFD, over the whole stream.
    pub(super) replaced: u64,
    name: String,
    data: String,
    /// Whether `data` holds a `data` field, which may be empty.
    has_data: bool,
}

impl Pending {
    pub(super) fn set_name(&mut self, value: &[u8], room: Room<'_>) -> Result<(), SseError> {
        self.name.clear();
        let left = room.left(self);
        self.replaced += text::push(&mut self.name, value, left).ok_or(room.too_long())?;
        Ok(())
    }

    pub(super) fn set_id(&mut self, value: &[u8], room: Room<'_>) -> Result<(), SseError> {
        self.sets_id = true;
        self.id.clear();
        let left = room.left(self);
        self.replaced += text::push(&mut self.id, value, left).ok_or(room.too_long())?;
        Ok(())
    }

    /// Adds a `data` value: to `held` if it is the first and valid, else to the copied data.
    pub(super) fn add_data<'c>(
        &mut self,
        value: &'c [u8],
        held: &mut Option<&'c str>,
        limit: usize,
    ) -> Result<(), SseError> {
        if let Some(first) = held.take() {
            self.keep(first);
        }
        let room = Room { limit, held: None };
        if self.has_data {
            if room.left(self) == 0 {
                return Err(room.too_long());
            }
            self.data.push('\n');
        } else if let Ok(text) = std::str::from_utf8(value)
            && text.len() <= room.left(self)
        {
            *held = Some(text);
            return Ok(());
        }
        self.has_data = true;
        let left = room.left(self);
        self.replaced += text::push(&mut self.data, value, left).ok_or(room.too_long())?;
        Ok(())
    }

    /// Copies what was held, because its event goes on.
    pub(super) fn keep(&mut self, held: &str) {
        self.data.push_str(held);
        self.has_data = true;
    }

    /// The event, if it has data.
    pub(super) fn event<'a>(&'a self, held: Option<&'a str>) -> Option<SseEvent<'a>> {
        let data = held.or(self.has_data.then_some(self.data.as_str()))?;
        let event = if self.name.is_empty() {
            DEFAULT_NAME
        } else {
            &self.name
        };
        let id = &self.id;
        Some(SseEvent { event, data, id })
    }

    /// Forgets the event; the id stays, as the format wants.
    pub(super) fn clear(&mut self) {
        self.open = false;
        self.has_data = false;
        self.sets_id = false;
        self.name.clear();
        self.data.clear();
    }

    /// The bytes of data copied so far.
    #[cfg(test)]
    pub(super) fn data_bytes(&self) -> usize {
        self.data.len()
    }
}

/// How long an event may become, and the part of it that is held.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room<'a> {
    pub(super) limit: usize,
    pub(super) held: Option<&'a str>,
}

impl Room<'_> {
    /// The bytes by which the event may still grow.
    fn left(self, event: &Pending) -> usize {
        let held = self.held.map_or(0, str::len);
        let used = event.data.len() + event.name.len() + event.id.len() + held;
        self.limit.saturating_sub(used)
    }

    fn too_long(self) -> SseError {
        SseError::new(SseErrorKind::EventTooLong, self.limit)
    }
}
