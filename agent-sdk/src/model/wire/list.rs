//! Lists of an answer; `null` is an empty one.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{self, SeqAccess, Visitor},
};

/// How many elements of one list are read; more is refused.
const MAX_ELEMENTS: usize = 1_024;

/// A list that mostly has one element, which is then kept without an allocation.
#[derive(Debug)]
pub(in crate::model) struct Few<T> {
    first: Option<T>,
    rest: Vec<T>,
}

impl<T> Default for Few<T> {
    fn default() -> Self {
        Self {
            first: None,
            rest: Vec::new(),
        }
    }
}

impl<T> Few<T> {
    /// The only element, where there is exactly one.
    pub(in crate::model) fn only(&self) -> Option<&T> {
        self.first.as_ref().filter(|_| self.rest.is_empty())
    }
}

impl<T> IntoIterator for Few<T> {
    type Item = T;
    type IntoIter = std::iter::Chain<std::option::IntoIter<T>, std::vec::IntoIter<T>>;

    fn into_iter(self) -> Self::IntoIter {
        self.first.into_iter().chain(self.rest)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Few<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ListVisitor(PhantomData))
    }
}

/// A list that mostly is absent, and small while it is.
#[derive(Debug)]
pub(in crate::model) struct Many<T>(Vec<T>);

impl<T> Default for Many<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Many<T> {
    pub(in crate::model) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(in crate::model) fn iter(&self) -> std::slice::Iter<'_, T> {
        self.0.iter()
    }
}

impl<T> IntoIterator for Many<T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Many<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ListVisitor(PhantomData))
    }
}

/// A list, or `null` for an empty one.
struct ListVisitor<L>(PhantomData<L>);

/// What a [`ListVisitor`] fills.
trait List: Default {
    type Element;

    fn push(&mut self, element: Self::Element);
}

impl<T> List for Few<T> {
    type Element = T;

    fn push(&mut self, element: T) {
        match self.first {
            None => self.first = Some(element),
            Some(_) => self.rest.push(element),
        }
    }
}

impl<T> List for Many<T> {
    type Element = T;

    fn push(&mut self, element: T) {
        self.0.push(element);
    }
}

impl<'de, L: List<Element: Deserialize<'de>>> Visitor<'de> for ListVisitor<L> {
    type Value = L;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_unit<E>(self) -> Result<L, E> {
        Ok(L::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<L, A::Error> {
        let mut list = L::default();
        let mut read = 0;
        while let Some(element) = seq.next_element()? {
            read += 1;
            if read > MAX_ELEMENTS {
                return Err(de::Error::custom("a list has too many elements"));
            }
            list.push(element);
        }
        Ok(list)
    }
}
