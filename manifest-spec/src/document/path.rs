//! Dotted key paths, as origins and overrides name values: `services.web.port`, `access.read[1]`.

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Segment {
    /// A key of a table.
    Key(String),
    /// An item of a list.
    Item(usize),
}

/// Reads a path; a key with other characters than a bare TOML key stands in double quotes.
///
/// # Errors
/// The text that is no path, for a message.
pub(super) fn read(text: &str) -> Result<Vec<Segment>, String> {
    let mut segments = Vec::new();
    let mut rest = text;
    loop {
        let key;
        (key, rest) = read_key(rest)?;
        segments.push(Segment::Key(key));
        while let Some(behind) = rest.strip_prefix('[') {
            let (index, next) = behind.split_once(']').ok_or("a [ without ]")?;
            segments.push(Segment::Item(index.parse().map_err(|_| "an index that is no number")?));
            rest = next;
        }
        match rest.strip_prefix('.') {
            Some(next) => rest = next,
            None if rest.is_empty() => return Ok(segments),
            None => return Err("a quote inside a key".to_owned()),
        }
    }
}

fn read_key(text: &str) -> Result<(String, &str), String> {
    if let Some(inside) = text.strip_prefix('"') {
        let (key, rest) = inside.split_once('"').ok_or("a \" without another")?;
        return Ok((key.to_owned(), rest));
    }
    let end = text.find(['.', '[', '"']).unwrap_or(text.len());
    let (key, rest) = text.split_at(end);
    if key.is_empty() {
        return Err("an empty part".to_owned());
    }
    Ok((key.to_owned(), rest))
}
