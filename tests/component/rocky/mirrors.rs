//! Mirrors that misbehave.
