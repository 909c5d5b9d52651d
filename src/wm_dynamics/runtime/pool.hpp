// Threads that sleep until there is work. Each takes the next shard when it is done with one, so
// a thread that loses its core to another process delays only the shard it is at.
#pragma once
#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace wm {

class Pool {
 public:
  // The caller is one of the threads.
  explicit Pool(int threads) {
    for (int worker = 1; worker < threads; worker++)
      threads_.emplace_back([this, worker] { serve(worker); });
  }
  ~Pool() {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      stop_ = true;
    }
    wake_.notify_all();
    for (auto& thread : threads_) thread.join();
  }
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  int threads() const { return int(threads_.size()) + 1; }

  // Calls work(shard, worker) for every shard; throws what the first failure threw.
  void run(int shards, const std::function<void(int, int)>& work) {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      work_ = &work;
      next_ = 0;
      shards_ = shards;
      open_ = shards;
      failure_ = nullptr;
    }
    if (shards > 1) wake_.notify_all();
    help(0);
    std::unique_lock<std::mutex> lock(mutex_);
    done_.wait(lock, [this] { return open_ == 0; });
    work_ = nullptr;
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  void serve(int worker) {
    for (;;) {
      {
        std::unique_lock<std::mutex> lock(mutex_);
        wake_.wait(lock, [this] { return stop_ || (work_ && next_ < shards_); });
        if (stop_) return;
      }
      help(worker);
    }
  }

  void help(int worker) {
    std::unique_lock<std::mutex> lock(mutex_);
    while (work_ && next_ < shards_) {
      const int shard = next_++;
      const auto& work = *work_;
      lock.unlock();
      std::exception_ptr failure;
      try {
        work(shard, worker);
      } catch (...) {
        failure = std::current_exception();
      }
      lock.lock();
      if (failure && !failure_) failure_ = failure;
      if (--open_ == 0) done_.notify_all();
    }
  }

  std::mutex mutex_;
  std::condition_variable wake_, done_;
  std::vector<std::thread> threads_;
  const std::function<void(int, int)>* work_ = nullptr;
  std::exception_ptr failure_;
  int next_ = 0, shards_ = 0, open_ = 0;
  bool stop_ = false;
};

}  // namespace wm
