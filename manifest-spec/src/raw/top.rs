//! The top level of a manifest, and the part of it that overrides may hold.

use super::{RawApp, RawHook, RawLogs, RawPolicy, RawService};
use crate::decode::{Decode, Decoder, Map, Table};
use crate::names::{HookName, PolicyName, ServiceName};
use crate::shape::{FieldShape, Shape, TableShape};
use crate::tree::{Node, Value};

/// The top level: the app's keys, and a service's for the short form.
#[derive(Debug, Clone, Default)]
pub(crate) struct RawManifest {
    pub(crate) app: RawApp,
    pub(crate) service: RawService,
}

/// A `[profile.NAME]` section or a drop-in: the top level without what names it.
#[derive(Debug, Clone, Default)]
pub(crate) struct RawProfile;

impl RawManifest {
    fn table_shape() -> TableShape {
        TableShape {
            name: "RawManifest",
            doc: "An app: one file, one name, one or more services.",
            fields: RawApp::fields().into_iter().chain(RawService::fields()).collect(),
        }
    }
}

impl Decode for RawManifest {
    fn shape() -> Shape {
        Shape::Table(Self::table_shape())
    }

    fn decode(node: &Node, cx: &mut Decoder<'_>) -> Option<Self> {
        let mut raw = Self::default();
        for entry in node.entries() {
            if !raw.app.take(entry, cx) && !raw.service.take(entry, cx) {
                cx.unknown_key(entry, &Self::table_shape());
            }
        }
        Some(raw)
    }
}

impl RawProfile {
    /// Keys of the top level that an override of many keys must not hold.
    pub(crate) const EXCLUDED: [&'static str; 2] = ["name", "profile"];

    fn table_shape() -> TableShape {
        // The profile key is left out before its shape is asked for: it holds profiles.
        let app = [
            ("services", <Map<ServiceName, RawService>>::shape as fn() -> Shape),
            ("hooks", <Map<HookName, RawHook>>::shape),
            ("policies", <Map<PolicyName, RawPolicy>>::shape),
            ("logs", RawLogs::shape),
        ];
        let app = app.into_iter().map(|(name, shape)| FieldShape {
            name,
            doc: "As at the top level.",
            default: "unchanged",
            example: "{}",
            shape: shape(),
        });
        TableShape {
            name: "RawProfile",
            doc: "Overrides: any top-level key but `name` and `profile`.",
            fields: app.chain(RawService::fields()).collect(),
        }
    }
}

impl Decode for RawProfile {
    fn shape() -> Shape {
        Shape::Table(Self::table_shape())
    }

    fn decode(node: &Node, cx: &mut Decoder<'_>) -> Option<Self> {
        let Value::Table(entries) = &node.value else {
            cx.mismatch(node, &Self::shape());
            return None;
        };
        let (mut app, mut service) = (RawApp::default(), RawService::default());
        for entry in entries {
            if Self::EXCLUDED.contains(&entry.key.as_str()) {
                cx.within(&entry.key, |cx| cx.misplaced(entry, "a profile cannot set this key"));
            } else if !app.take(entry, cx) && !service.take(entry, cx) {
                cx.unknown_key(entry, &Self::table_shape());
            }
        }
        Some(Self)
    }
}
