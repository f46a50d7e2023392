//! The kernel: the distribution's SRPM through an overlay.
