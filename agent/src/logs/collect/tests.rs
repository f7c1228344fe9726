pub(super) fn checkpoint() {}
