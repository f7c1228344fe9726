//! From the raw tree to typed values, with every error on the way.
//!
//! Owns the traits a type implements to be a value of the format, and the two macros that
//! implement them for tables and for words. Invariant: decoding goes on after an error, and a
//! value that failed is [`Field::Invalid`], never absent. Checks one value at a time; what two
//! values must agree on is the business of `validate`.

mod findings;
mod macros;
mod values;

use crate::schema;
use crate::shape::{FieldShape, Shape, TableShape, TextShape, found};
use crate::suggest::did_you_mean;
use crate::tree::{Entry, Node, Place, Sources, Value};

pub(crate) use findings::Findings;
pub(crate) use macros::{choice, table};
pub(crate) use values::Whole;

/// A type that a value of the document decodes to.
pub(crate) trait Decode: Sized {
    fn shape() -> Shape;
    /// Reads the value, or reports why it cannot be one.
    fn decode(node: &Node, cx: &mut Decoder<'_>) -> Option<Self>;
}

/// A type whose form is a string with rules of its own.
pub(crate) trait Text: Sized {
    const SHAPE: TextShape;
    fn read(text: &str) -> Result<Self, Fault>;
}

/// A table with known keys; implemented by `table!`.
pub(crate) trait Table: Default + Short {
    const NAME: &'static str;
    const DOC: &'static str;
    fn fields() -> Vec<FieldShape>;
    /// Decodes the entry if its key is known.
    fn take(&mut self, entry: &Entry, cx: &mut Decoder<'_>) -> bool;
}

/// The short form of a table, for values that are no table.
pub(crate) trait Short: Sized {
    /// Shapes of the short form.
    fn forms() -> Vec<Shape> {
        Vec::new()
    }
    /// Reads the short form; `None` if the value is not of that kind either.
    fn short(_node: &Node, _cx: &mut Decoder<'_>) -> Option<Option<Self>> {
        None
    }
}

/// Why a string is not what was expected.
#[derive(Debug, Default)]
pub(crate) struct Fault {
    /// Instead of "expected …, found …".
    pub(crate) message: Option<String>,
    pub(crate) hint: Option<String>,
}

impl Fault {
    pub(crate) fn because(message: impl Into<String>) -> Self {
        Self { message: Some(message.into()), hint: None }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// A value with its place and the key it was found under.
#[derive(Debug, Clone)]
pub(crate) struct At<T> {
    pub(crate) value: T,
    pub(crate) place: Place,
    pub(crate) key: String,
}

/// A key of a table: not written, written wrongly, or given.
#[derive(Debug, Clone, Default)]
pub(crate) enum Field<T> {
    #[default]
    Absent,
    Invalid,
    Given(At<T>),
}

impl<T> Field<T> {
    pub(crate) fn get(&self) -> Option<&At<T>> {
        match self {
            Self::Given(at) => Some(at),
            Self::Absent | Self::Invalid => None,
        }
    }

    pub(crate) fn value(&self) -> Option<&T> {
        self.get().map(|at| &at.value)
    }

    pub(crate) fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }
}

/// An entry of a [`Map`]; the value may have failed.
#[derive(Debug, Clone)]
pub(crate) struct Named<K, V> {
    pub(crate) name: At<K>,
    pub(crate) value: Field<V>,
}

/// A table whose keys are the author's, in the order of the file.
#[derive(Debug, Clone)]
pub(crate) struct Map<K, V>(pub(crate) Vec<Named<K, V>>);

/// The state of one decoding: where it is and what it found wrong.
pub(crate) struct Decoder<'a> {
    pub(crate) findings: Findings<'a>,
    /// Dotted path of the value being decoded.
    path: String,
    /// The whole format, for telling where a misplaced key belongs.
    root: fn() -> Shape,
}

impl<'a> Decoder<'a> {
    pub(crate) fn new(sources: &'a Sources, root: fn() -> Shape) -> Self {
        Self { findings: Findings::new(sources), path: String::new(), root }
    }

    /// Decodes the value of an entry under its key.
    pub(crate) fn field<T: Decode>(&mut self, entry: &Entry) -> Field<T> {
        self.within(&entry.key, |cx| match T::decode(&entry.node, cx) {
            Some(value) => cx.given(&entry.node, value),
            None => Field::Invalid,
        })
    }

    /// A value that was read from `node`, which stands at the current path.
    pub(crate) fn given<T>(&self, node: &Node, value: T) -> Field<T> {
        Field::Given(At { value, place: node.place.clone(), key: self.path.clone() })
    }

    pub(crate) fn within<R>(&mut self, key: &str, inner: impl FnOnce(&mut Self) -> R) -> R {
        let length = self.path.len();
        push_segment(&mut self.path, key);
        let result = inner(self);
        self.path.truncate(length);
        result
    }

    /// Reports that the value is of the wrong kind.
    pub(crate) fn mismatch(&mut self, node: &Node, shape: &Shape) {
        let message = format!("expected {}, found {}", shape.expected(), found(node));
        self.report(node, message).hint = shape.remedy(node);
    }

    /// Reports a value that is none of the words of a choice.
    pub(crate) fn wrong_word(&mut self, node: &Node, words: &'static [(&str, &str)]) {
        self.mismatch(node, &Shape::Choice(words));
        if let Value::Text(text) = &node.value
            && let Some(hint) = did_you_mean(text, words.iter().map(|(word, _)| *word))
        {
            self.findings.last_hint(hint);
        }
    }

    /// Reports something about the value at the current path.
    pub(crate) fn report(
        &mut self,
        node: &Node,
        message: impl Into<String>,
    ) -> &mut crate::Diagnostic {
        self.findings.add(&node.place, self.path.clone(), message)
    }

    /// Reports a string that breaks the rules of its type.
    pub(crate) fn fault<T: Text>(&mut self, place: &Place, text: &str, fault: Fault) {
        let expected = T::SHAPE.expected;
        let message = fault.message.unwrap_or_else(|| {
            format!("expected {expected}, found {}", crate::error::quoted(text))
        });
        self.findings.add(place, self.path.clone(), message).hint = fault.hint;
    }

    /// Reports a key that is known, but not here; the current path is the key's.
    pub(crate) fn misplaced(&mut self, entry: &Entry, message: &str) {
        self.findings.add(&entry.key_place, self.path.clone(), message);
    }

    /// Reports a key that the table does not have.
    pub(crate) fn unknown_key(&mut self, entry: &Entry, table: &TableShape) {
        let names: Vec<&str> = table.fields.iter().map(|field| field.name).collect();
        let hint = did_you_mean(&entry.key, names.iter().copied())
            .or_else(|| schema::home_of(table, &self.path, &entry.key))
            .or_else(|| schema::home(&(self.root)(), &entry.key))
            .unwrap_or_else(|| format!("the keys here are {}", names.join(", ")));
        let mut key = self.path.clone();
        push_segment(&mut key, &entry.key);
        self.findings.add(&entry.key_place, key, "unknown key").hint(hint);
    }
}

/// Adds a key to a dotted path, quoted where a bare key would read as something else.
pub(crate) fn push_segment(path: &mut String, key: &str) {
    let bare = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    if !path.is_empty() && !key.starts_with('[') {
        path.push('.');
    }
    if !key.is_empty() && (key.bytes().all(bare) || key.starts_with('[')) {
        path.push_str(key);
    } else {
        path.push_str(&crate::error::quoted(key));
    }
}

/// Decodes a table, or its short form.
pub(crate) fn decode_table<T: Table>(node: &Node, cx: &mut Decoder<'_>) -> Option<T> {
    let Value::Table(entries) = &node.value else {
        return T::short(node, cx).unwrap_or_else(|| {
            cx.mismatch(node, &table_shape::<T>());
            None
        });
    };
    let mut table = T::default();
    for entry in entries {
        if !table.take(entry, cx) {
            cx.unknown_key(entry, &plain_shape::<T>());
        }
    }
    Some(table)
}

fn plain_shape<T: Table>() -> TableShape {
    TableShape { name: T::NAME, doc: T::DOC.trim(), fields: T::fields() }
}

/// The shape of a table with its short form.
pub(crate) fn table_shape<T: Table>() -> Shape {
    let table = Shape::Table(plain_shape::<T>());
    let mut forms = T::forms();
    if forms.is_empty() {
        return table;
    }
    forms.push(table);
    Shape::Either(forms)
}
