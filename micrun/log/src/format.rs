//! A record as one line.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::SystemTime;

use log::kv::{self, Key, Value, VisitSource, VisitValue};
use log::{Level, Record};
use micrun_trace::Current;
use serde_json::{Map, json};

/// How lines are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// `level: text`.
    #[default]
    Plain,
    /// `key=value` pairs.
    Logfmt,
    /// One JSON document.
    Json,
}

impl LogFormat {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Plain, Self::Logfmt, Self::Json];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Logfmt => "logfmt",
            Self::Json => "json",
        }
    }
}

/// A format that may change while lines are written.
#[derive(Debug)]
pub struct Setting(AtomicU8);

impl Setting {
    /// Begins with this one.
    pub const fn new(format: LogFormat) -> Self {
        Self(AtomicU8::new(format as u8))
    }

    /// The present one.
    pub fn get(&self) -> LogFormat {
        LogFormat::ALL[usize::from(self.0.load(Ordering::Relaxed)) % LogFormat::ALL.len()]
    }

    /// From now on this one.
    pub fn set(&self, format: LogFormat) {
        self.0.store(format as u8, Ordering::Relaxed);
    }
}

impl FromStr for LogFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|format| format.as_str() == text);
        known.ok_or_else(|| format!("{text:?} is no format of log lines; write plain, logfmt or json"))
    }
}

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is to be written.
#[derive(Debug)]
pub struct Entry {
    /// How important it is.
    pub level: Level,
    text: String,
    /// What it is about, in the order of the record.
    fields: Vec<(String, Field)>,
}

#[derive(Debug, PartialEq, Eq)]
enum Field {
    Text(String),
    Number(u64),
}

impl Entry {
    /// An entry about nothing in particular.
    pub fn new(level: Level, text: String) -> Self {
        Self { level, text, fields: Vec::new() }
    }

    /// That so many lines about a subject, which this field names, were left out.
    pub fn left_out(field: &str, subject: &str, count: u64) -> Self {
        let text = format!("{subject}: {count} lines about it were left out: it causes too many");
        Self::new(Level::Warn, text).with(field, subject)
    }

    /// That so many lines were lost.
    pub fn missing(count: u64) -> Self {
        Self::new(Level::Warn, format!("{count} lines are missing: the log was not read in time"))
    }

    /// The entry of a record, and of the trace that it belongs to.
    pub fn of(record: &Record<'_>) -> Self {
        let mut entry = Self::new(record.level(), record.args().to_string());
        // It collects, so it cannot fail.
        let _ = record.key_values().visit(&mut entry);
        if let Some((trace, span)) = Current::here().ids() {
            entry.fields.push(("trace_id".to_owned(), Field::Text(trace)));
            entry.fields.push(("span_id".to_owned(), Field::Text(span)));
        }
        entry
    }

    /// The same with one more field.
    #[must_use]
    pub fn with(mut self, key: &str, text: &str) -> Self {
        self.fields.push((key.to_owned(), Field::Text(text.to_owned())));
        self
    }

    /// Whether it has a field of that name.
    pub fn has(&self, key: &str) -> bool {
        self.fields.iter().any(|(own, _)| own == key)
    }

    /// The client or the container that it is about.
    pub fn subject(&self) -> Option<&str> {
        self.fields.iter().find_map(|(key, field)| match field {
            Field::Text(text) if SUBJECTS.contains(&key.as_str()) => Some(text.as_str()),
            _ => None,
        })
    }

    /// As a line without its end, of at most `room` bytes.
    pub fn line(&self, format: LogFormat, room: usize) -> String {
        let level = self.level.as_str().to_lowercase();
        if format == LogFormat::Plain {
            let mut line = format!("{level}: {}", self.text);
            line.truncate(line.floor_char_boundary(room));
            return line;
        }
        // What has a field of its own is not repeated.
        let prefix = self.subject().map(|subject| format!("{subject}: ")).unwrap_or_default();
        let mut text = self.text.strip_prefix(&prefix).unwrap_or(&self.text);
        loop {
            let line = self.structured(format, &level, text);
            if line.len() <= room || text.is_empty() {
                return line;
            }
            // Quoting makes a text longer, so there is no telling how much of it fits.
            text = &text[..text.floor_char_boundary(text.len() / 2)];
        }
    }

    fn structured(&self, format: LogFormat, level: &str, text: &str) -> String {
        // As containerd writes it.
        let level = if level == "warn" { "warning" } else { level };
        let time = humantime::format_rfc3339_micros(SystemTime::now()).to_string();
        if format == LogFormat::Json {
            let mut document = Map::new();
            let own = [("time", json!(time)), ("level", json!(level)), ("msg", json!(text))];
            let fields = self.fields.iter().map(|(key, field)| match field {
                Field::Text(text) => (key.as_str(), json!(text)),
                Field::Number(number) => (key.as_str(), json!(number)),
            });
            document.extend(own.into_iter().chain(fields).map(|(key, value)| (key.to_owned(), value)));
            return serde_json::Value::Object(document).to_string();
        }
        let mut line = format!("time={time} level={level} msg={}", quote(text));
        for (key, field) in &self.fields {
            let value = match field {
                Field::Text(text) => quote(text),
                Field::Number(number) => number.to_string(),
            };
            line.extend([" ", key, "=", &value]);
        }
        line
    }
}

/// The fields by which lines are counted.
const SUBJECTS: [&str; 2] = ["client", "container"];

/// logfmt's quoting, which is also JSON's for what occurs here.
fn quote(text: &str) -> String {
    json!(text).to_string()
}

impl<'kvs> VisitSource<'kvs> for Entry {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), kv::Error> {
        let mut found = Found(None);
        value.visit(&mut found)?;
        self.fields.extend(found.0.map(|field| (key.to_string(), field)));
        Ok(())
    }
}

/// The value of a field; none for what there is not.
struct Found(Option<Field>);

impl VisitValue<'_> for Found {
    fn visit_any(&mut self, value: Value<'_>) -> Result<(), kv::Error> {
        self.0 = Some(Field::Text(value.to_string()));
        Ok(())
    }

    fn visit_null(&mut self) -> Result<(), kv::Error> {
        Ok(())
    }

    fn visit_u64(&mut self, value: u64) -> Result<(), kv::Error> {
        self.0 = Some(Field::Number(value));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str, room: usize) -> [String; 3] {
        let entry = Entry {
            level: Level::Warn,
            text: text.to_owned(),
            fields: vec![
                ("client".to_owned(), Field::Text("motor".to_owned())),
                ("pid".to_owned(), Field::Number(7)),
            ],
        };
        LogFormat::ALL.map(|format| entry.line(format, room))
    }

    #[test]
    fn a_plain_line_is_the_text_and_the_others_have_fields() {
        let [plain, logfmt, json] = lines("motor: a \"word\"", 4096);
        assert_eq!(plain, "warn: motor: a \"word\"");
        let (time, rest) = logfmt.split_once(' ').unwrap();
        assert!(time.starts_with("time=2"), "{time}");
        assert_eq!(rest, r#"level=warning msg="a \"word\"" client="motor" pid=7"#);
        let document: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(document["msg"], "a \"word\"");
        assert_eq!((&document["client"], &document["pid"]), (&json!("motor"), &json!(7)));
    }

    #[test]
    fn a_line_fits_and_is_still_a_document() {
        for line in lines(&"\u{1}\u{e9}".repeat(4000), 1000) {
            assert!(line.len() <= 1000, "{} bytes", line.len());
        }
        let [_, _, json] = lines(&"\u{1}".repeat(4000), 1000);
        serde_json::from_str::<serde_json::Value>(&json).unwrap();
    }

    #[test]
    fn a_record_gives_its_fields() {
        let fields = [("client", Value::from("a")), ("pid", Value::from(3_u32)), ("none", Value::null())];
        let fields = &fields[..];
        let record =
            Record::builder().args(format_args!("a: b")).key_values(&fields).level(Level::Info).build();
        let entry = Entry::of(&record);
        assert_eq!(entry.subject(), Some("a"));
        assert_eq!(entry.fields[1..], [("pid".to_owned(), Field::Number(3))]);
    }
}
