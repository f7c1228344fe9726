//! The macros that make a type of the format from one list of its keys or words.
//!
//! Invariant: decoder, shape and documentation of a key come from the same line.

/// Declares a table of the format: the raw type, its keys with their docs, and its decoder.
///
/// Each key is `name: Type = "what holds without it", "a TOML example";`.
macro_rules! table {
    (
        $(#[doc = $doc:literal])+
        $table:ident {
            $($(#[doc = $key_doc:literal])+ $key:ident: $type:ty = $default:literal, $example:literal;)+
        }
    ) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, Default)]
        pub(crate) struct $table {
            $($(#[doc = $key_doc])+ pub(crate) $key: $crate::decode::Field<$type>,)+
        }

        impl $crate::decode::Table for $table {
            const NAME: &'static str = stringify!($table);
            const DOC: &'static str = concat!($($doc),+);

            fn fields() -> Vec<$crate::shape::FieldShape> {
                vec![$($crate::shape::FieldShape {
                    name: stringify!($key),
                    doc: concat!($($key_doc),+).trim(),
                    default: $default,
                    example: $example,
                    shape: <$type as $crate::decode::Decode>::shape(),
                }),+]
            }

            fn take(
                &mut self,
                entry: &$crate::tree::Entry,
                cx: &mut $crate::decode::Decoder<'_>,
            ) -> bool {
                match entry.key.as_str() {
                    $(stringify!($key) => self.$key = cx.field(entry),)+
                    _ => return false,
                }
                true
            }
        }

        impl $crate::decode::Decode for $table {
            fn shape() -> $crate::shape::Shape {
                $crate::decode::table_shape::<Self>()
            }

            fn decode(
                node: &$crate::tree::Node,
                cx: &mut $crate::decode::Decoder<'_>,
            ) -> Option<Self> {
                $crate::decode::decode_table(node, cx)
            }
        }
    };
}

/// Declares the words of a closed choice: `"word" => Variant: "what it means";`.
macro_rules! choice {
    ($type:ident { $($word:literal => $variant:ident: $doc:literal;)+ }) => {
        impl $type {
            const WORDS: &'static [(&'static str, &'static str)] = &[$(($word, $doc)),+];

            /// The word of the manifest.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl $crate::decode::Decode for $type {
            fn shape() -> $crate::shape::Shape {
                $crate::shape::Shape::Choice(Self::WORDS)
            }

            fn decode(
                node: &$crate::tree::Node,
                cx: &mut $crate::decode::Decoder<'_>,
            ) -> Option<Self> {
                match &node.value {
                    $($crate::tree::Value::Text(text) if text == $word => Some(Self::$variant),)+
                    _ => {
                        cx.wrong_word(node, Self::WORDS);
                        None
                    }
                }
            }
        }

        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }
    };
}

pub(crate) use {choice, table};
