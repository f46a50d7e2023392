//! The same for many things, several at a time.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// What `make` gives for each of `items`, in their order; `width` are made at a time. After an error, no other is begun, and of several
/// errors, that of the first item is given.
pub fn side_by_side<T, R, E>(
    items: &[T],
    width: usize,
    make: impl Fn(&T) -> Result<R, E> + Sync,
) -> Result<Vec<R>, E>
where
    T: Sync,
    R: Send,
    E: Send,
{
    let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let made = Mutex::new(Vec::with_capacity(items.len()));
    let work = || {
        while !failed.load(Ordering::Relaxed) {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(at) else { return };
            let result = make(item);
            if result.is_err() {
                failed.store(true, Ordering::Relaxed);
            }
            let mut made = made.lock().unwrap_or_else(PoisonError::into_inner);
            made.push((at, result));
        }
    };
    thread::scope(|scope| {
        // The thread that waits for them would have nothing to do.
        for _ in 1..width.min(items.len()) {
            scope.spawn(work);
        }
        work();
    });
    let mut made = made.into_inner().unwrap_or_else(PoisonError::into_inner);
    made.sort_unstable_by_key(|(at, _)| *at);
    made.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::time::Duration;

    use super::*;

    #[test]
    fn results_are_in_the_order_of_the_items_whatever_each_takes() {
        let items: Vec<u64> = (0..40).collect();
        let slow_first = |item: &u64| {
            thread::sleep(Duration::from_micros(40 - *item));
            Ok::<u64, Infallible>(item * 2)
        };
        for width in [0, 1, 3, 100] {
            let doubled = side_by_side(&items, width, slow_first).unwrap();
            assert_eq!(
                doubled,
                items.iter().map(|item| item * 2).collect::<Vec<_>>()
            );
        }
        assert!(side_by_side(&[], 4, slow_first).unwrap().is_empty());
    }

    #[test]
    fn as_many_as_asked_for_are_made_at_a_time() {
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let make = |_: &usize| {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            thread::sleep(Duration::from_millis(20));
            now.fetch_sub(1, Ordering::SeqCst);
            Ok::<(), Infallible>(())
        };
        side_by_side(&[0; 12], 3, make).unwrap();
        assert_eq!(most.into_inner(), 3);
    }

    #[test]
    fn after_an_error_nothing_is_begun() {
        let begun = AtomicUsize::new(0);
        let make = |item: &usize| {
            begun.fetch_add(1, Ordering::SeqCst);
            if *item >= 2 { Err(*item) } else { Ok(()) }
        };
        let items: Vec<usize> = (0..1_000).collect();
        assert_eq!(side_by_side(&items, 1, make), Err(2));
        assert_eq!(begun.load(Ordering::SeqCst), 3);
        // Of several at a time, some may have been begun.
        assert_eq!(side_by_side(&items, 4, make), Err(2));
        assert!(begun.into_inner() < 20);
    }
}
