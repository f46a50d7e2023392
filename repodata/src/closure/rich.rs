//! Requirements as text: plain ones and rich (boolean) ones.
//!
//! Grammar and precedence are rpm's: operands are capabilities or further expressions in parentheses; `and`, `or` and
//! `with` chain with themselves only, `if` and `unless` take one condition and an optional `else`.

use std::fmt;

use crate::{Entry, Evr, Flag};

/// How deep expressions may be nested. Packagers get to three; every level takes from the stack.
const MAX_DEPTH: usize = 32;

/// What a package asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Requirement {
    /// One capability.
    Plain(Entry),
    /// All of them.
    And(Vec<Requirement>),
    /// One of them.
    Or(Vec<Requirement>),
    /// `wanted` where `condition` is installed, else `otherwise`.
    If {
        wanted: Box<Requirement>,
        condition: Box<Requirement>,
        /// What is wanted when not.
        otherwise: Option<Box<Requirement>>,
    },
    /// `wanted` where `condition` is *not* installed, else `otherwise`.
    Unless {
        wanted: Box<Requirement>,
        /// When not.
        condition: Box<Requirement>,
        /// What is wanted when `condition` holds.
        otherwise: Option<Box<Requirement>>,
    },
    /// One package that provides all of them.
    With(Vec<Requirement>),
    /// A package that provides the first and not the second.
    Without(Box<Requirement>, Box<Requirement>),
}

/// A requirement that cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a requirement: {what}")]
pub struct ParseError {
    /// The whole requirement.
    pub text: String,
    pub what: &'static str,
}

/// Reads a requirement as a header or a spec file writes it: `name`, `name OP evr` or `( … )`.
pub fn parse(text: &str) -> Result<Requirement, ParseError> {
    let mut parser = Parser {
        rest: text.trim(),
        depth: 0,
    };
    let found = if parser.rest.starts_with('(') {
        parser.expression()
    } else {
        parser.plain()
    };
    let error = |what| ParseError {
        text: text.to_owned(),
        what,
    };
    let found = found.map_err(error)?;
    in_context(&found).map_err(error)?;
    if !parser.rest.trim().is_empty() {
        return Err(error("there is text after its end"));
    }
    Ok(found)
}

/// Reads a requirement as repodata gives it: a rich one is the entry's whole name.
pub fn of_entry(entry: &Entry) -> Result<Requirement, ParseError> {
    if entry.name.starts_with('(') {
        parse(&entry.name)
    } else {
        Ok(Requirement::Plain(entry.clone()))
    }
}

/// What rpm says of operators in one another: the operands of `with` and `without` name packages, so that no `and`, `if` or `unless` is
/// in them at any depth; and `if` is no operand of `or`.
fn in_context(requirement: &Requirement) -> Result<(), &'static str> {
    let operands = requirement.operands();
    match requirement {
        Requirement::With(_) | Requirement::Without(..)
            if !operands.iter().all(|operand| operand.names_packages()) =>
        {
            return Err(
                "only `or`, `with` and `without` may be in an operand of `with` or `without`",
            );
        }
        Requirement::Or(_)
            if operands
                .iter()
                .any(|operand| matches!(operand, Requirement::If { .. })) =>
        {
            return Err("`if` is no operand of `or`");
        }
        _ => {}
    }
    operands.into_iter().try_for_each(in_context)
}

fn flag(operator: &str) -> Option<Flag> {
    Some(match operator {
        "<" => Flag::Lt,
        "<=" | "=<" => Flag::Le,
        "=" | "==" => Flag::Eq,
        ">=" | "=>" => Flag::Ge,
        ">" => Flag::Gt,
        _ => return None,
    })
}

struct Parser<'a> {
    rest: &'a str,
    /// How many expressions are open.
    depth: usize,
}

type Step<T> = Result<T, &'static str>;

/// What follows `if` or `unless`, and what follows its `else`.
type Condition = (Box<Requirement>, Option<Box<Requirement>>);

impl<'a> Parser<'a> {
    fn expression(&mut self) -> Step<Requirement> {
        self.take("(")?;
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err("it is nested too deep");
        }
        let found = self.opened();
        self.depth -= 1;
        found
    }

    /// What follows an opening parenthesis, with the closing one.
    fn opened(&mut self) -> Step<Requirement> {
        let first = self.operand()?;
        let done = match self.operator()? {
            None => return Ok(first),
            Some("and") => Requirement::And(self.chain(first, "and")?),
            Some("or") => Requirement::Or(self.chain(first, "or")?),
            Some("with") => Requirement::With(self.chain(first, "with")?),
            Some("without") => {
                let second = self.operand()?;
                self.take(")")?;
                Requirement::Without(Box::new(first), Box::new(second))
            }
            Some("if") => {
                let (condition, otherwise) = self.condition()?;
                Requirement::If {
                    wanted: Box::new(first),
                    condition,
                    otherwise,
                }
            }
            Some("unless") => {
                let (condition, otherwise) = self.condition()?;
                Requirement::Unless {
                    wanted: Box::new(first),
                    condition,
                    otherwise,
                }
            }
            Some(_) => return Err("unknown operator"),
        };
        Ok(done)
    }

    /// The operands after the first of a chain of one operator, with the closing parenthesis.
    fn chain(&mut self, first: Requirement, operator: &str) -> Step<Vec<Requirement>> {
        let mut all = vec![first, self.operand()?];
        loop {
            match self.operator()? {
                None => return Ok(all),
                Some(next) if next == operator => all.push(self.operand()?),
                Some(_) => return Err("different operators without parentheses"),
            }
        }
    }

    fn condition(&mut self) -> Step<Condition> {
        let condition = Box::new(self.operand()?);
        match self.operator()? {
            None => Ok((condition, None)),
            Some("else") => {
                let otherwise = Box::new(self.operand()?);
                self.take(")")?;
                Ok((condition, Some(otherwise)))
            }
            Some(_) => Err("only `else` may follow a condition"),
        }
    }

    fn operand(&mut self) -> Step<Requirement> {
        self.rest = self.rest.trim_start();
        if self.rest.starts_with('(') {
            self.expression()
        } else {
            self.plain()
        }
    }

    fn plain(&mut self) -> Step<Requirement> {
        let name = self.word();
        if name.is_empty() {
            return Err("a name is missing");
        }
        let before = self.rest;
        let word = self.word();
        let Some(flag) = flag(word) else {
            self.rest = before;
            return Ok(Requirement::Plain(Entry {
                name: name.into(),
                ..Entry::default()
            }));
        };
        let evr = match self.word() {
            "" => return Err("a version is missing"),
            word => Evr::parse(word).ok_or("its version cannot be read")?,
        };
        Ok(Requirement::Plain(Entry {
            name: name.into(),
            flags: Some(flag),
            evr: Some(evr),
            pre: false,
        }))
    }

    /// The next operator, or none where the expression closes.
    fn operator(&mut self) -> Step<Option<&'a str>> {
        self.rest = self.rest.trim_start();
        if self.rest.starts_with(')') {
            self.take(")")?;
            return Ok(None);
        }
        match self.word() {
            "" => Err("a parenthesis is not closed"),
            word => Ok(Some(word)),
        }
    }

    fn take(&mut self, what: &'static str) -> Step<()> {
        self.rest = self.rest.trim_start();
        match self.rest.strip_prefix(what) {
            Some(rest) => {
                self.rest = rest;
                Ok(())
            }
            None => Err("a parenthesis is not closed"),
        }
    }

    /// A run without blanks, with its own parentheses balanced: `kernel(foo)` is one word.
    fn word(&mut self) -> &'a str {
        let text = self.rest.trim_start();
        let mut depth = 0usize;
        let mut end = text.len();
        for (at, c) in text.char_indices() {
            match c {
                '(' => depth += 1,
                ')' if depth == 0 => {
                    end = at;
                    break;
                }
                ')' => depth -= 1,
                c if c.is_whitespace() => {
                    end = at;
                    break;
                }
                _ => {}
            }
        }
        let (word, rest) = text.split_at(end);
        self.rest = rest;
        word
    }
}

impl Requirement {
    /// What its operator is between, conditions included.
    fn operands(&self) -> Vec<&Self> {
        match self {
            Self::Plain(_) => Vec::new(),
            Self::And(all) | Self::Or(all) | Self::With(all) => all.iter().collect(),
            Self::Without(a, b) => vec![a, b],
            Self::If {
                wanted,
                condition,
                otherwise,
            }
            | Self::Unless {
                wanted,
                condition,
                otherwise,
            } => [Some(wanted), Some(condition), otherwise.as_ref()]
                .into_iter()
                .flatten()
                .map(Box::as_ref)
                .collect(),
        }
    }

    /// Whether it says nothing but which packages are meant.
    fn names_packages(&self) -> bool {
        !matches!(self, Self::And(_) | Self::If { .. } | Self::Unless { .. })
            && self
                .operands()
                .iter()
                .all(|operand| operand.names_packages())
    }

    /// Calls `f` with every capability in it, conditions included.
    pub fn each_capability<'a>(&'a self, f: &mut impl FnMut(&'a Entry)) {
        if let Self::Plain(capability) = self {
            f(capability);
        }
        for operand in self.operands() {
            operand.each_capability(f);
        }
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let chain = |f: &mut fmt::Formatter<'_>, all: &[Self], operator: &str| {
            f.write_str("(")?;
            for (at, one) in all.iter().enumerate() {
                if at > 0 {
                    write!(f, " {operator} ")?;
                }
                write!(f, "{one}")?;
            }
            f.write_str(")")
        };
        match self {
            Self::Plain(capability) => write!(f, "{capability}"),
            Self::And(all) => chain(f, all, "and"),
            Self::Or(all) => chain(f, all, "or"),
            Self::With(all) => chain(f, all, "with"),
            Self::Without(a, b) => write!(f, "({a} without {b})"),
            Self::If {
                wanted,
                condition,
                otherwise,
            } => match otherwise {
                Some(otherwise) => write!(f, "({wanted} if {condition} else {otherwise})"),
                None => write!(f, "({wanted} if {condition})"),
            },
            Self::Unless {
                wanted,
                condition,
                otherwise,
            } => match otherwise {
                Some(otherwise) => write!(f, "({wanted} unless {condition} else {otherwise})"),
                None => write!(f, "({wanted} unless {condition})"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_what_is_shown() {
        for text in [
            "a",
            "a >= 1.2-3",
            "kernel(foo) = 0x1234",
            "/usr/bin/sh",
            "(a and b)",
            "(a and b and c)",
            "(a or b >= 2 or c)",
            "(a if b)",
            "(a if b else c)",
            "(a unless b)",
            "(a unless b else c)",
            "(a >= 1 with a < 2)",
            "(a without b)",
            "(a without (b with (c or d)))",
            "(a or (b and (c if d)))",
            "((a or b) if (c and d))",
            "(python3dist(x[y]) >= 1 with python3dist(x[y]) < 2)",
            "(kernel(foo) = 0x1 or ksym(bar) = 0x2)",
        ] {
            assert_eq!(parse(text).unwrap().to_string(), text);
        }
        assert_eq!(parse("( a   and ( b ) )").unwrap().to_string(), "(a and b)");
    }

    #[test]
    fn what_rpm_refuses_is_refused() {
        for (text, what) in [
            ("", "a name is missing"),
            ("a >=", "a version is missing"),
            ("(a and b", "a parenthesis is not closed"),
            ("(a and)", "a name is missing"),
            ("(a and b or c)", "different operators without parentheses"),
            ("(a if b or c)", "only `else` may follow a condition"),
            ("(a nor b)", "unknown operator"),
            ("(a) b", "there is text after its end"),
            ("a b", "there is text after its end"),
            ("(a or (b if c))", "`if` is no operand of `or`"),
            (
                "(a and (b or (c if d else e)))",
                "`if` is no operand of `or`",
            ),
            (
                "((a or b) without (c and (d or e)))",
                "only `or`, `with` and `without` may be in an operand of `with` or `without`",
            ),
            (
                "(a with (b or (c if d)))",
                "only `or`, `with` and `without` may be in an operand of `with` or `without`",
            ),
        ] {
            assert_eq!(parse(text).unwrap_err().what, what, "{text}");
        }
    }

    #[test]
    fn a_version_of_nothing_is_refused() {
        for text in ["a = :", "(a and b = -1)"] {
            assert_eq!(
                parse(text).unwrap_err().what,
                "its version cannot be read",
                "{text}"
            );
        }
    }

    #[test]
    fn depth_is_bounded_before_the_stack_ends() {
        let nested = |depth: usize| format!("{}a{}", "(".repeat(depth), ")".repeat(depth));
        assert_eq!(parse(&nested(MAX_DEPTH)).unwrap().to_string(), "a");
        for depth in [MAX_DEPTH + 1, 880, 100_000] {
            // As deep on the right of an operator as on its left.
            for text in [nested(depth), format!("(a or {})", nested(depth))] {
                let error = parse(&text).unwrap_err();
                assert_eq!(error.what, "it is nested too deep");
            }
        }
        // Many beside each other are not deep.
        let wide = format!("(a{})", " or (a)".repeat(1000));
        assert!(parse(&wide).is_ok());
    }
}
