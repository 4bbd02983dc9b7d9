//! Properties that hold for every message: printing is undone by reading, splices equal a rebuild,
//! a stream does not care where it is cut, and no bytes make anything panic.

#[path = "../fuzz/exercise.rs"]
#[allow(dead_code)]
mod exercise;

use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::TestRunner;
use sip::*;

/// A header line of a model message: long name and value.
type Line = (String, String);

fn value() -> impl Strategy<Value = String> {
    "[!-~]([ -~\u{e4}\u{20ac}]{0,30}[!-~])?"
}

fn line() -> impl Strategy<Value = Line> {
    let known = select(Name::ALL.to_vec()).prop_filter("counted by the builder", |name| *name != Name::ContentLength);
    let name = prop_oneof![known.prop_map(|name| name.text().to_owned()), "X-[A-Za-z0-9-]{1,12}"];
    (name, value())
}

fn message_parts() -> impl Strategy<Value = (bool, Vec<Line>, Vec<u8>)> {
    (any::<bool>(), prop::collection::vec(line(), 0..90), prop::collection::vec(any::<u8>(), 0..60))
}

fn build(request: bool, lines: &[Line], body: &[u8]) -> Message {
    let start = match request {
        true => Builder::request(Method::Invite, "sip:bob@example.com"),
        false => Builder::response(Status::OK),
    };
    lines.iter().fold(start, |builder, (name, value)| builder.other(name, value)).payload(body.to_vec()).build()
}

fn lines_of(view: &View) -> Vec<Line> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("the model is text");
    view.fields().map(|field| (text(field.name), text(field.value))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn reading_undoes_printing((request, lines, body) in message_parts()) {
        let message = build(request, &lines, &body);
        let view = message.view();
        let mut found = lines_of(&view);
        prop_assert_eq!(found.pop(), Some(("Content-Length".to_owned(), body.len().to_string())));
        prop_assert_eq!(&found, &lines);
        prop_assert_eq!(view.body(), &body[..]);
        let again = Message::parse(message.bytes().clone(), &Limits::default()).unwrap();
        prop_assert_eq!(&again, &message);
        let copy = Builder::request(Method::Invite, "sip:bob@example.com")
            .copy_where(&view, |_| true)
            .payload(body.clone())
            .build();
        prop_assert_eq!(lines_of(&copy.view()), lines_of(&view));
    }

    #[test]
    fn splices_equal_a_rebuild((_, lines, body) in message_parts(), changes in prop::collection::vec(change(), 0..25)) {
        let message = build(true, &lines, &body);
        let view = message.view();
        let mut splices = Splices::new(&view);
        let mut model = Model::new(&view);
        for change in &changes {
            change.apply(&mut splices);
            model.apply(change);
        }
        let out = splices.into_bytes();
        let limits = Limits { headers_max: 1_000, ..Limits::default() };
        let found = View::parse(&out, &limits).unwrap();
        prop_assert_eq!(lines_of(&found), model.finish());
        prop_assert_eq!(found.body(), &body[..]);
    }

    #[test]
    fn a_stream_may_be_cut_anywhere(
        messages in prop::collection::vec(message_parts(), 1..4),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let messages: Vec<Message> = messages.iter().map(|(request, lines, body)| build(*request, lines, body)).collect();
        let stream: Vec<u8> = messages.iter().flat_map(|message| message.bytes().to_vec()).collect();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len())).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let mut framer = Framer::new(Limits::default());
        let mut found = Vec::new();
        for pair in cuts.windows(2) {
            framer.feed(&stream[pair[0]..pair[1]]);
            while let Some(frame) = framer.next().unwrap() {
                found.push(frame);
            }
        }
        let expected: Vec<Frame> = messages.iter().map(|message| Frame::Message(message.bytes().clone())).collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        exercise::message(&bytes);
        exercise::framing(&bytes);
        exercise::uri(&bytes);
        exercise::credentials(&bytes);
    }

    #[test]
    fn things_that_look_like_values(text in "[a-z0-9:;,=<>@?%\"\\\\ \r\n\t\\[\\]/.*-]{0,60}") {
        for scheme in ["", "sip:", "tel:", "Digest ", "SIP/2.0/UDP ", "1 ", "--x\r\n"] {
            let text = format!("{scheme}{text}");
            exercise::uri(text.as_bytes());
            exercise::credentials(text.as_bytes());
        }
    }
}

#[test]
fn mutated_torture_messages() {
    let files = torture();
    let config = ProptestConfig { cases: 6_000, failure_persistence: None, ..ProptestConfig::default() };
    let strategy = (any::<prop::sample::Index>(), prop::collection::vec(mutation(), 1..6));
    let outcome = TestRunner::new(config).run(&strategy, |(which, mutations)| {
        let mut bytes = files[which.index(files.len())].clone();
        for mutation in &mutations {
            mutation.apply(&mut bytes, &files);
        }
        exercise::message(&bytes);
        exercise::framing(&bytes);
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
}

// ---- changes and their model -----------------------------------------------------------------------

#[derive(Clone, Debug)]
enum Change {
    PushFront(Name, String),
    Append(Name, String),
    RemoveAll(Name),
    RemoveOther(String),
}

/// Names few enough that changes meet.
fn few() -> impl Strategy<Value = Name> {
    select(vec![Name::Via, Name::Route, Name::RecordRoute, Name::Contact, Name::Subject])
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        (few(), value()).prop_map(|(name, value)| Change::PushFront(name, value)),
        (few(), value()).prop_map(|(name, value)| Change::Append(name, value)),
        few().prop_map(Change::RemoveAll),
        few().prop_map(|name| Change::RemoveOther(name.text().to_lowercase())),
    ]
}

impl Change {
    fn apply<'a>(&'a self, splices: &mut Splices<'a>) {
        match self {
            Change::PushFront(name, value) => splices.push_front(*name, value.as_bytes()),
            Change::Append(name, value) => splices.append(*name, value.as_bytes()),
            Change::RemoveAll(name) => splices.remove_all(*name),
            Change::RemoveOther(name) => splices.remove_other(name),
        }
    }
}

/// The original lines, each with what stands before it; the last slot is the end of the header section.
struct Model {
    lines: Vec<Option<Line>>,
    names: Vec<Name>,
    before: Vec<Vec<Line>>,
}

impl Model {
    fn new(view: &View) -> Model {
        let lines: Vec<Option<Line>> = lines_of(view).into_iter().map(Some).collect();
        let names = view.fields().map(|field| field.id).collect();
        Model { before: vec![Vec::new(); lines.len() + 1], names, lines }
    }

    fn apply(&mut self, change: &Change) {
        match change {
            Change::PushFront(name, value) => {
                let at = self.names.iter().position(|known| known == name).unwrap_or(0);
                self.before[at].insert(0, (name.text().to_owned(), value.clone()));
            }
            Change::Append(name, value) => {
                let at = self.names.iter().rposition(|known| known == name).map_or(self.lines.len(), |at| at + 1);
                self.before[at].push((name.text().to_owned(), value.clone()));
            }
            Change::RemoveAll(name) => self.remove(*name),
            Change::RemoveOther(name) => self.remove(Name::of(name.as_bytes())),
        }
    }

    fn remove(&mut self, name: Name) {
        for (known, line) in self.names.iter().zip(&mut self.lines) {
            if *known == name {
                *line = None;
            }
        }
    }

    fn finish(self) -> Vec<Line> {
        let mut lines = self.lines.into_iter();
        self.before.into_iter().flat_map(|before| before.into_iter().chain(lines.next().flatten())).collect()
    }
}

// ---- mutations --------------------------------------------------------------------------------------

#[derive(Clone, Debug)]
enum Mutation {
    Set(prop::sample::Index, u8),
    Remove(prop::sample::Index, usize),
    Repeat(prop::sample::Index, usize),
    Insert(prop::sample::Index, &'static str),
    Splice(prop::sample::Index, prop::sample::Index, usize),
    Cut(prop::sample::Index),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let words = select(WORDS.to_vec());
    prop_oneof![
        (any::<prop::sample::Index>(), any::<u8>()).prop_map(|(at, byte)| Mutation::Set(at, byte)),
        (any::<prop::sample::Index>(), 1usize..40).prop_map(|(at, length)| Mutation::Remove(at, length)),
        (any::<prop::sample::Index>(), 1usize..80).prop_map(|(at, length)| Mutation::Repeat(at, length)),
        (any::<prop::sample::Index>(), words).prop_map(|(at, word)| Mutation::Insert(at, word)),
        (any::<prop::sample::Index>(), any::<prop::sample::Index>(), 1usize..200)
            .prop_map(|(at, from, length)| Mutation::Splice(at, from, length)),
        any::<prop::sample::Index>().prop_map(Mutation::Cut),
    ]
}

impl Mutation {
    fn apply(&self, bytes: &mut Vec<u8>, files: &[Vec<u8>]) {
        if bytes.is_empty() {
            return;
        }
        match self {
            Mutation::Set(at, byte) => {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            Mutation::Remove(at, length) => {
                let at = at.index(bytes.len());
                bytes.drain(at..bytes.len().min(at + length));
            }
            Mutation::Repeat(at, length) => {
                let at = at.index(bytes.len());
                let piece = bytes[at..bytes.len().min(at + length)].to_vec();
                bytes.splice(at..at, piece);
            }
            Mutation::Insert(at, word) => {
                let at = at.index(bytes.len());
                bytes.splice(at..at, word.bytes());
            }
            Mutation::Splice(at, from, length) => {
                let at = at.index(bytes.len());
                let file = &files[length % files.len()];
                let from = from.index(file.len());
                bytes.splice(at..at, file[from..file.len().min(from + length)].iter().copied());
            }
            Mutation::Cut(at) => bytes.truncate(at.index(bytes.len())),
        }
    }
}

const WORDS: &[&str] = &[
    "\r\n",
    "\n",
    "\r",
    "\r\n ",
    "\r\n\r\n",
    "\0",
    ":",
    ";",
    ",",
    "\"",
    "\\",
    "<",
    ">",
    "@",
    "%00",
    "%",
    "=",
    "[",
    "]",
    "?",
    "*",
    " ",
    "\t",
    "Content-Length: 5\r\n",
    "l: 0\r\n",
    "Content-Length: -1\r\n",
    "Via: SIP/2.0/UDP x;branch=z9hG4bK\r\n",
    "v: ",
    "X-Other: 1\r\n",
    "4294967296",
    "18446744073709551616",
    "SIP/2.0",
    "SIP/",
    "\u{feff}",
    "\u{ff}",
    ";received=",
    ";rport",
    "<sip:",
    "sip:",
    "tel:",
];

fn torture() -> Vec<Vec<u8>> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/conformance/torture");
    let mut files: Vec<_> = ["rfc4475", "rfc5118"]
        .iter()
        .flat_map(|part| std::fs::read_dir(folder.join(part)).expect("the torture files are in the repository"))
        .map(|entry| entry.expect("a readable folder").path())
        .collect();
    files.sort();
    files.iter().map(|path| std::fs::read(path).expect("a readable file")).collect()
}
