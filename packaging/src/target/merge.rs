//! Inheritance: one table laid over another.

/// `over` laid over `base`: tables merge key by key, every other value replaces the one below.
pub(super) fn merged(mut base: toml::Table, over: toml::Table) -> toml::Table {
    for (key, value) in over {
        let value = match (base.remove(&key), value) {
            // A source is a choice between kinds: mixing the keys of two kinds would be neither.
            (Some(_), toml::Value::Table(above)) if key == "source" => toml::Value::Table(above),
            (Some(toml::Value::Table(below)), toml::Value::Table(above)) => {
                toml::Value::Table(merged(below, above))
            }
            (_, value) => value,
        };
        base.insert(key, value);
    }
    base
}
