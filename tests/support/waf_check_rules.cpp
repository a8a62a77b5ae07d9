// The validating child alone, for tests of spawned_validator().
#include "waf/rule_set.hpp"

int main() { return gatehouse::waf::check_rules_main(); }
