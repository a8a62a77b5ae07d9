// libmodsecurity leaks about 30 KB each time a rule set is loaded and freed, which is not ours to fix and would fail
// every test.
extern "C" const char* __lsan_default_suppressions();
extern "C" const char* __lsan_default_suppressions() { return "leak:libmodsecurity.so\n"; }
