//! `hostctl logs`: what apps wrote.
//!
//! | room | owns |
//! | --- | --- |
//! | [`supply`] | records, from the files or from hostd |
//! | [`page`] | records as they are shown |

pub mod page;
pub mod supply;

use std::process::ExitCode;
use std::time::Duration;

use agent::failure::Error;
use manifest_spec::api::{LogLine, LogQuery};

use crate::cli::LogsArguments;
use crate::client::place::Machine;
use crate::target::Target;
use crate::ui::Ui;
use page::{Form, Page};
use supply::Supply;

/// How many records a follower sees of what was before.
const BEFORE: u64 = 10;

pub fn logs(arguments: &LogsArguments, host: Option<&Machine>, ui: &Ui) -> Result<ExitCode, Error> {
    let query = query(arguments);
    let form = match (arguments.json, arguments.raw) {
        (true, _) => Form::Json,
        (_, true) => Form::Raw,
        _ => Form::Text,
    };
    let mut page = Page::new(form, ui.look(), query.app.is_none());
    let supply = Supply::find(query, host)?;
    if supply.is_waiting() {
        ui.say("nothing was written yet; waiting for the first line, until Ctrl-C");
    }
    supply.each(&mut |instances, lines| {
        page.expect(instances);
        ui.stream_bytes(&page.lines(lines))
    })?;
    Ok(ExitCode::SUCCESS)
}

fn query(arguments: &LogsArguments) -> LogQuery {
    let target = arguments.target.as_ref();
    let since = arguments.since.map(stamp);
    let before = (arguments.follow && since.is_none()).then_some(BEFORE);
    let query = LogQuery {
        version: arguments.version,
        since,
        until: arguments.until.map(stamp),
        level: arguments.level.clone(),
        stream: arguments.stream.clone(),
        grep: arguments.grep.clone(),
        filters: arguments.filters.clone(),
        last: arguments.number.or(before),
        follow: arguments.follow,
        ..LogQuery::default()
    };
    let named = about(query, target);
    LogQuery { instance: named.instance.or(arguments.instance), ..named }
}

/// A time as the API takes it.
pub fn stamp(nanos: u64) -> String {
    agent::logs::stamp(Duration::from_nanos(nanos))
}

/// What a target names, for a query.
pub fn about(query: LogQuery, target: Option<&Target>) -> LogQuery {
    LogQuery {
        app: target.map(|target| target.app.clone()),
        service: target.and_then(|target| target.service.clone()),
        instance: target.and_then(|target| target.instance),
        ..query
    }
}

/// One after the other; `false` when nobody wants more.
pub type Show<'a> = dyn FnMut(usize, &[LogLine]) -> Result<bool, Error> + 'a;
