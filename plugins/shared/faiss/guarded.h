// Calls of faiss as a plugin may make them: only on the calling thread, exceptions caught.
#pragma once

#include <dbsa/sdk/result.h>

#include <exception>
#include <new>
#include <string>

namespace dbsa::dense {

// While it lives, OpenMP loops that this thread starts run on this thread: plugins start no
// threads, and faiss's results depend on their number. Also keeps faiss from calling BLAS for
// distances, so that they do not depend on which BLAS is installed.
class OneThread {
 public:
  OneThread();
  ~OneThread();
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int before_;
};

// What faiss says is wrong, without the function, file and line that it puts in front.
std::string reason(const std::exception& failure);

// Runs `work`, a callable returning a Result. What it throws becomes an error with that code and
// pointer and the message `what: <reason>`. Running out of memory is thrown on.
template <typename Work>
auto guarded(ErrorCode code, const std::string& pointer, const std::string& what, Work&& work)
    -> decltype(work()) {
  const OneThread one_thread;
  try {
    return work();
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& failure) {
    return Error{code, what + ": " + reason(failure), pointer};
  }
}

}  // namespace dbsa::dense
