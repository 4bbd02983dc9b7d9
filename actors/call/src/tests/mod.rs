//! Whole calls, letter by letter.

mod basic;
