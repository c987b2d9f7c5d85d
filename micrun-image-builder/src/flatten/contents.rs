//! The files of the old layers, each layer read once.

use std::io::{self, Read};

use crate::base::Base;
use crate::layers::{Budget, Entries, Place};

/// The layers, as far as they were read.
pub(super) struct Contents<'a> {
    base: &'a Base<'a>,
    layers: Vec<Layer<'a>>,
}

enum Layer<'a> {
    Closed(Option<&'a mut Budget>),
    /// With the number of the entry that comes next.
    Open(Entries<'a, Box<dyn Read + 'a>>, usize),
}

impl<'a> Contents<'a> {
    /// `budgets` has one for each layer.
    pub(super) fn new(base: &'a Base<'a>, budgets: &'a mut [Budget]) -> Self {
        let layers = budgets.iter_mut().map(|budget| Layer::Closed(Some(budget))).collect();
        Self { base, layers }
    }

    /// Goes to the content of a file, for [`Self::read`]. Those of one layer are asked for in their order.
    pub(super) fn seek(&mut self, place: Place) -> io::Result<()> {
        let other = || io::Error::other("it is not the layer that was read before");
        let layer = self.layers.get_mut(place.layer).ok_or_else(other)?;
        if let Layer::Closed(budget) = layer {
            let tar = self.base.tar(&self.base.layers()[place.layer])?;
            *layer = Layer::Open(Entries::new(tar, budget.take().ok_or_else(other)?), 0);
        }
        let Layer::Open(entries, next) = layer else { return Err(other()) };
        while *next <= place.entry {
            entries.next()?.ok_or_else(other)?;
            *next += 1;
        }
        Ok(())
    }

    /// Reads from the file that was gone to last in this layer.
    pub(super) fn read(&mut self, layer: usize, buffer: &mut [u8]) -> io::Result<usize> {
        match self.layers.get_mut(layer) {
            Some(Layer::Open(entries, _)) => entries.read(buffer),
            _ => Ok(0),
        }
    }
}
