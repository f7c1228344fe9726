//! How the plain kinds of value decode: strings with rules, truths, numbers, lists and maps.

use super::{At, Decode, Decoder, Fault, Field, Map, Named, Text};
use crate::shape::Shape;
use crate::tree::{Node, Value};

impl<T: Text> Decode for T {
    fn shape() -> Shape {
        Shape::Text(T::SHAPE)
    }

    fn decode(node: &Node, cx: &mut Decoder<'_>) -> Option<Self> {
        let Value::Text(text) = &node.value else {
            cx.mismatch(node, &Self::shape());
            // 150 for "150%": what the number would need as a string says it best.
            if let Value::Integer(number) = node.value
                && let Err(Fault { hint: Some(hint), .. }) = T::read(&number.to_string())
            {
                cx.findings.last_hint(hint);
            }
            return None;
        };
        T::read(text).map_err(|fault| cx.fault::<T>(&node.place, text, fault)).ok()
    }
}

impl Decode for bool {
    fn shape() -> Shape {
        Shape::Boolean
    }

    fn decode(node: &Node, cx: &mut Decoder<'_>) -> Option<Self> {
        match node.value {
            Value::Boolean(truth) => Some(truth),
            _ => {
                cx.mismatch(node, &Self::shape());
                None
            }
        }
    }
}

/// A whole number between two bounds that belong to it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Whole<const LEAST: u32, const MOST: u32>(pub(crate) u32);

impl<const LEAST: u32, const MOST: u32> Decode for Whole<LEAST, MOST> {
    fn shape() -> Shape {
        Shape::Integer { least: i64::from(LEAST), most: i64::from(MOST) }
    }

    fn decode(node: &Node, cx: &mut Decoder<'_>) -> Option<Self> {
        if let Value::Integer(number) = node.value
            && let Ok(number) = u32::try_from(number)
            && (LEAST..=MOST).contains(&number)
        {
            return Some(Self(number));
        }
        cx.mismatch(node, &Self::shape());
        None
    }
}

impl<T: Decode> Decode for Vec<At<T>> {
    fn shape() -> Shape {
        Shape::List(Box::new(T::shape()))
    }

    fn decode(node: &Node, cx: &mut Decoder<'_>) -> Option<Self> {
        let Value::List(items) = &node.value else {
            cx.mismatch(node, &Self::shape());
            return None;
        };
        let mut list = Self::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            cx.within(&format!("[{index}]"), |cx| {
                if let Some(value) = T::decode(item, cx)
                    && let Field::Given(at) = cx.given(item, value)
                {
                    list.push(at);
                }
            });
        }
        Some(list)
    }
}

impl<K: Text, V: Decode> Decode for Map<K, V> {
    fn shape() -> Shape {
        Shape::Map { key: K::SHAPE, value: Box::new(V::shape()) }
    }

    fn decode(node: &Node, cx: &mut Decoder<'_>) -> Option<Self> {
        let Value::Table(entries) = &node.value else {
            cx.mismatch(node, &Self::shape());
            return None;
        };
        let mut map = Vec::with_capacity(entries.len());
        for entry in entries {
            let value = cx.field::<V>(entry);
            cx.within(&entry.key, |cx| match K::read(&entry.key) {
                Ok(name) => {
                    let place = entry.key_place.clone();
                    map.push(Named {
                        name: At { value: name, place, key: cx.path.clone() },
                        value,
                    });
                }
                Err(fault) => cx.fault::<K>(&entry.key_place, &entry.key, fault),
            });
        }
        Some(Self(map))
    }
}
