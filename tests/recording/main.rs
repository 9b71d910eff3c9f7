//! Recordings of real sessions: that they replay to what a viewer was shown, wherever they are begun; that damage, wrong
//! keys and full disks are told; that nothing of them can be read without the key; who may fetch them.

#[path = "../administration/http.rs"]
mod http;
mod keeping;
mod replaying;
mod stage;
