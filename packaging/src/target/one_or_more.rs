//! A list that may be written as a single string.

use std::fmt;

use serde::de::{Error, SeqAccess, Visitor};
use serde::ser::SerializeSeq as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// At least one string: `"a"` or `["a", "b"]`. One alone is written as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OneOrMore(Vec<String>);

impl OneOrMore {
    /// All of them; never none.
    pub fn all(&self) -> &[String] {
        &self.0
    }
}

impl From<String> for OneOrMore {
    fn from(one: String) -> Self {
        Self(vec![one])
    }
}

impl<'de> Deserialize<'de> for OneOrMore {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Strings;
        impl<'de> Visitor<'de> for Strings {
            type Value = OneOrMore;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or a list of strings")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<OneOrMore, E> {
                Ok(OneOrMore(vec![text.to_owned()]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<OneOrMore, A::Error> {
                let mut all = Vec::new();
                while let Some(one) = list.next_element()? {
                    all.push(one);
                }
                if all.is_empty() {
                    return Err(A::Error::custom(
                        "a list with at least one string is needed",
                    ));
                }
                Ok(OneOrMore(all))
            }
        }
        deserializer.deserialize_any(Strings)
    }
}

impl Serialize for OneOrMore {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let [one] = self.0.as_slice() {
            return serializer.serialize_str(one);
        }
        let mut list = serializer.serialize_seq(Some(self.0.len()))?;
        for one in &self.0 {
            list.serialize_element(one)?;
        }
        list.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Serialize, Deserialize)]
    struct Table {
        key: OneOrMore,
    }

    #[test]
    fn one_and_more_come_back_as_they_were_written() {
        for text in ["key = \"a\"\n", "key = [\"a\", \"b\"]\n"] {
            let table: Table = toml::from_str(text).unwrap();
            assert_eq!(toml::to_string(&table).unwrap(), text);
            assert_eq!(table.key.all()[0], "a");
        }
        for (text, part) in [("key = []", "at least one"), ("key = 1", "list of strings")] {
            let error = toml::from_str::<Table>(text).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
