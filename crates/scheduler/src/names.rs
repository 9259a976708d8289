//! Names that many units share, each kept once for as long as a unit has it.

use std::collections::HashMap;
use std::sync::Arc;

/// Names by number.
#[derive(Debug, Default)]
pub(crate) struct Names {
    numbers: HashMap<Arc<str>, u32>,
    entries: Vec<Entry>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Entry {
    name: Arc<str>,
    uses: u32,
}

impl Names {
    /// The number of a name, which is used once more from now on.
    pub(crate) fn acquire(&mut self, name: &str) -> u32 {
        if let Some(&number) = self.numbers.get(name) {
            self.reuse(number);
            return number;
        }
        let entry = Entry { name: name.into(), uses: 1 };
        let number = if let Some(number) = self.free.pop() {
            number
        } else {
            self.entries.push(Entry { name: Arc::clone(&entry.name), uses: 0 });
            (self.entries.len() - 1) as u32
        };
        self.numbers.insert(Arc::clone(&entry.name), number);
        self.entries[number as usize] = entry;
        number
    }

    /// A number is used once more.
    pub(crate) fn reuse(&mut self, number: u32) {
        self.entries[number as usize].uses += 1;
    }

    /// A number is used once less; with the last use its name is forgotten.
    pub(crate) fn release(&mut self, number: u32) {
        let entry = &mut self.entries[number as usize];
        entry.uses -= 1;
        if entry.uses == 0 {
            let name = std::mem::replace(&mut entry.name, "".into());
            self.numbers.remove(&name);
            self.free.push(number);
        }
    }

    /// The number of a name that is in use.
    pub(crate) fn find(&self, name: &str) -> Option<u32> {
        self.numbers.get(name).copied()
    }

    pub(crate) fn name(&self, number: u32) -> &Arc<str> {
        &self.entries[number as usize].name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_lives_as_long_as_it_is_used() {
        let mut names = Names::default();
        let a = names.acquire("a");
        assert_eq!(names.acquire("a"), a);
        let b = names.acquire("b");
        assert_ne!(a, b);
        names.release(a);
        assert_eq!(names.find("a"), Some(a));
        names.release(a);
        assert_eq!(names.find("a"), None);
        assert_eq!(names.acquire("c"), a, "its number is free again");
        assert_eq!((&**names.name(a), &**names.name(b)), ("c", "b"));
    }
}
