// What went wrong while TLS settings were turned into a context: text for the person who wrote the configuration.
#pragma once

#include <string>

#include <boost/system/result.hpp>

namespace gatehouse::certs {

/// A failure while loading, worded as nginx words it:
/// `cannot load certificate "a.pem": BIO_new_file() failed (SSL: error:80000002:system library::No such file or
/// directory...)`.
struct LoadError {
  std::string text;

  friend bool operator==(const LoadError&, const LoadError&) = default;
};

/// Called by LoadResult::value() on a failure; throws std::runtime_error with the text.
[[noreturn]] void throw_exception_from_error(const LoadError& error, const boost::source_location& where);

template <class T>
using LoadResult = boost::system::result<T, LoadError>;

}  // namespace gatehouse::certs
