//! What was done to a journal's files, in order, and what a disk could hold of it after a power loss.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, IoSlice},
    path::Path,
    sync::Arc,
};

use parking_lot::Mutex;

/// A disk writes so many bytes whole, or not at all.
const SECTOR: usize = 512;

/// All that was done to the files of one folder. Clones are one recording.
#[derive(Clone, Debug, Default)]
pub struct Recording {
    log: Arc<Mutex<Log>>,
}

#[derive(Debug, Default)]
struct Log {
    steps: Vec<Step>,
    /// The file that has each name now.
    names: BTreeMap<String, usize>,
    files: usize,
}

/// Noted once it was done, so that what is noted before a sync begins is covered by it.
#[derive(Clone, Debug)]
enum Step {
    Created {
        name: String,
        file: usize,
    },
    Removed {
        name: String,
        file: usize,
    },
    Written {
        file: usize,
        offset: u64,
        bytes: Vec<u8>,
    },
    /// Made longer, by zeros.
    Reserved {
        file: usize,
        length: u64,
    },
    Cut {
        file: usize,
        length: u64,
    },
    /// Everything of the file that was noted among the first `covered` steps is on stable storage; how it was cut only
    /// if `whole`.
    Synced {
        file: usize,
        covered: usize,
        whole: bool,
    },
    /// So is which names there are.
    NamesSynced {
        covered: usize,
    },
    /// The test's own.
    Mark(u64),
}

impl Recording {
    /// A recording that begins with the files of a folder, all of it on stable storage.
    pub fn of(dir: &Path) -> io::Result<Self> {
        let recording = Self::default();
        for entry in fs::read_dir(dir)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "seg") {
                recording.created(&path);
                recording.written(&path, 0, &fs::read(&path)?);
                recording.synced(&path, recording.len(), true);
            }
        }
        recording.names_synced(recording.len());
        Ok(recording)
    }

    /// The same, without what came behind the first so many steps.
    pub fn until(&self, steps: usize) -> Self {
        let log = self.log.lock();
        let mut names = BTreeMap::new();
        for step in &log.steps[..steps] {
            match step {
                Step::Created { name, file } => drop(names.insert(name.clone(), *file)),
                Step::Removed { name, .. } => drop(names.remove(name)),
                _ => {}
            }
        }
        let log = Log { steps: log.steps[..steps].to_vec(), names, files: log.files };
        Self { log: Arc::new(Mutex::new(log)) }
    }

    /// Steps so far. After each of them the power may be lost.
    pub fn len(&self) -> usize {
        self.log.lock().steps.len()
    }

    /// Nothing was done.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Notes something that the test knows, such as that a record was acknowledged.
    pub fn mark(&self, mark: u64) {
        self.log.lock().steps.push(Step::Mark(mark));
    }

    /// The marks among the first so many steps.
    pub fn marks(&self, steps: usize) -> Vec<u64> {
        let marks = self.log.lock();
        let marks = marks.steps[..steps].iter();
        marks.filter_map(|step| if let Step::Mark(mark) = step { Some(*mark) } else { None }).collect()
    }

    /// Whether a file was removed in one of these steps.
    pub fn removes(&self, steps: std::ops::Range<usize>) -> bool {
        self.log.lock().steps[steps].iter().any(|step| matches!(step, Step::Removed { .. }))
    }

    /// What a disk could hold when the power is lost after so many steps.
    pub fn lost_after(&self, steps: usize, loss: &mut Loss) -> Image {
        Image::of(&self.log.lock().steps[..steps], loss)
    }

    pub(crate) fn created(&self, path: &Path) {
        let mut log = self.log.lock();
        let (name, file) = (name(path), log.files);
        log.files += 1;
        log.names.insert(name.clone(), file);
        log.steps.push(Step::Created { name, file });
    }

    pub(crate) fn removed(&self, path: &Path) {
        let mut log = self.log.lock();
        let name = name(path);
        if let Some(file) = log.names.remove(&name) {
            log.steps.push(Step::Removed { name, file });
        }
    }

    pub(crate) fn written(&self, path: &Path, offset: u64, bytes: &[u8]) {
        self.note(path, |file| Step::Written { file, offset, bytes: bytes.to_vec() });
    }

    /// The first `count` bytes of `slices`.
    pub(crate) fn written_of(&self, path: &Path, offset: u64, slices: &[IoSlice<'_>], count: usize) {
        let mut bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
        bytes.truncate(count);
        self.note(path, |file| Step::Written { file, offset, bytes });
    }

    pub(crate) fn reserved(&self, path: &Path, length: u64) {
        self.note(path, |file| Step::Reserved { file, length });
    }

    pub(crate) fn cut(&self, path: &Path, length: u64) {
        self.note(path, |file| Step::Cut { file, length });
    }

    /// `covered` is how many steps there were when the sync began.
    pub(crate) fn synced(&self, path: &Path, covered: usize, whole: bool) {
        self.note(path, |file| Step::Synced { file, covered, whole });
    }

    pub(crate) fn names_synced(&self, covered: usize) {
        self.log.lock().steps.push(Step::NamesSynced { covered });
    }

    fn note(&self, path: &Path, step: impl FnOnce(usize) -> Step) {
        let mut log = self.log.lock();
        if let Some(&file) = log.names.get(&name(path)) {
            log.steps.push(step(file));
        }
    }
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// What becomes of that which was not synced.
#[derive(Clone, Debug)]
pub enum Loss {
    /// All of it is lost.
    All,
    /// Nothing is.
    Nothing,
    /// Each step, and each name, is there or is not, whatever came before it.
    Steps(fastrand::Rng),
    /// Each sector of what was written is there or is not.
    Sectors(fastrand::Rng),
}

impl Loss {
    fn keeps_step(&mut self) -> bool {
        match self {
            Self::All => false,
            Self::Nothing => true,
            Self::Steps(random) | Self::Sectors(random) => random.bool(),
        }
    }

    /// Whether each of these sectors is there.
    fn keeps_sectors(&mut self, sectors: usize) -> Vec<bool> {
        match self {
            Self::Sectors(random) => (0..sectors).map(|_| random.bool()).collect(),
            _ => vec![self.keeps_step(); sectors],
        }
    }
}

/// What a disk holds: the names and contents of files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    files: BTreeMap<String, Vec<u8>>,
}

impl Image {
    fn of(steps: &[Step], loss: &mut Loss) -> Self {
        let names = names(steps, loss);
        let contents = |(name, file)| (name, content(steps, file, loss));
        Self { files: names.into_iter().map(contents).collect() }
    }

    /// Makes the files, in a folder that is there.
    pub fn write(&self, dir: &Path) -> io::Result<()> {
        self.files.iter().try_for_each(|(name, content)| fs::write(dir.join(name), content))
    }
}

/// Which names there are, and of which files.
fn names(steps: &[Step], loss: &mut Loss) -> BTreeMap<String, usize> {
    let covered = |step: &Step| if let Step::NamesSynced { covered } = step { Some(*covered) } else { None };
    let synced = steps.iter().filter_map(covered).max().unwrap_or_default();
    let mut names = BTreeMap::new();
    for (at, step) in steps.iter().enumerate() {
        match step {
            Step::Created { name, file } if at < synced || loss.keeps_step() => {
                names.insert(name.clone(), *file);
            }
            Step::Removed { name, file }
                if names.get(name) == Some(file) && (at < synced || loss.keeps_step()) =>
            {
                names.remove(name);
            }
            _ => {}
        }
    }
    names
}

fn content(steps: &[Step], file: usize, loss: &mut Loss) -> Vec<u8> {
    let (mut data, mut whole) = (0, 0);
    for step in steps {
        if let Step::Synced { file: synced, covered, whole: is_whole } = step
            && *synced == file
        {
            data = data.max(*covered);
            whole = if *is_whole { whole.max(*covered) } else { whole };
        }
    }
    let mut content = Vec::new();
    for (at, step) in steps.iter().enumerate() {
        match step {
            Step::Written { file: written, offset, bytes } if *written == file => {
                write(&mut content, *offset as usize, bytes, |sectors| {
                    if at < data { vec![true; sectors] } else { loss.keeps_sectors(sectors) }
                });
            }
            Step::Reserved { file: reserved, length }
                if *reserved == file && (at < data || loss.keeps_step()) =>
            {
                content.resize(content.len().max(*length as usize), 0);
            }
            Step::Cut { file: cut, length } if *cut == file && (at < whole || loss.keeps_step()) => {
                content.resize(*length as usize, 0);
            }
            _ => {}
        }
    }
    content
}

/// Writes those sectors that are kept. A file that has grown has zeros where nothing was written.
fn write(content: &mut Vec<u8>, offset: usize, bytes: &[u8], keep: impl FnOnce(usize) -> Vec<bool>) {
    let first = offset / SECTOR;
    let end = offset + bytes.len();
    let kept = keep(end.div_ceil(SECTOR) - first);
    for (number, _) in kept.iter().enumerate().filter(|(_, kept)| **kept) {
        let from = offset.max((first + number) * SECTOR);
        let to = end.min((first + number + 1) * SECTOR);
        content.resize(content.len().max(to), 0);
        content[from..to].copy_from_slice(&bytes[from - offset..to - offset]);
    }
}
