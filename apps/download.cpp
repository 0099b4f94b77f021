#include "apps/download.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <exception>
#include <fstream>
#include <memory>
#include <optional>
#include <string_view>
#include <thread>
#include <utility>

#include "apps/messages.h"
#include "apps/progress.h"
#include "engine/error.h"
#include "midi/files.h"

namespace etude::apps {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr uint64_t kMegabyte = 1'000'000;
constexpr long kMostRedirects = 5;

struct FreeCurl {
  void operator()(CURL* curl) const { curl_easy_cleanup(curl); }
};
struct FreeList {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

fs::path origin_of(const fs::path& part) { return part.string() + ".from"; }

// What has come so far, and of which file of which server it is.
class PartFile {
 public:
  PartFile(fs::path path, std::string url) : path_(std::move(path)), url_(std::move(url)) {
    std::ifstream from(origin_of(path_));
    std::string of_url;
    if (std::getline(from, of_url) && of_url == url_) std::getline(from, version_);
    std::error_code none;
    const auto size = fs::file_size(path_, none);
    if (!none && !version_.empty()) size_ = size;
    fd_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (fd_ < 0) fail();
    if (size_ == 0) begin({});
  }
  ~PartFile() {
    ::close(fd_);
    if (size_ == 0) remove_download(path_);  // nothing to go on with
  }
  PartFile(const PartFile&) = delete;
  PartFile& operator=(const PartFile&) = delete;

  uint64_t size() const { return size_; }
  // An entity tag or a date for If-Range.
  const std::string& version() const { return version_; }

  // Anew, with a file that the server calls so (empty: it cannot be gone on with).
  void begin(const std::string& version) {
    if (::ftruncate(fd_, 0) != 0) fail();
    size_ = 0;
    version_ = version;
    midi::write_file_atomically(origin_of(path_), url_ + "\n" + version_ + "\n");
  }

  void append(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(size_));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) fail();
      size_ += static_cast<uint64_t>(n);
      bytes.remove_prefix(static_cast<size_t>(n));
    }
  }

 private:
  [[noreturn]] void fail() const {
    throw Error(fmt::format("{}: cannot be written: {}", path_.string(), std::strerror(errno)));
  }

  fs::path path_;
  std::string url_, version_;
  uint64_t size_ = 0;
  int fd_ = -1;
};

// "bytes 100-199/200" or "bytes */200"
struct ContentRange {
  std::optional<uint64_t> first, total;

  explicit ContentRange(std::string_view text) {
    const auto number = [&](char before) -> std::optional<uint64_t> {
      const size_t at = text.find(before);
      if (at == std::string_view::npos) return {};
      uint64_t value = 0;
      const char* end = text.data() + text.size();
      if (std::from_chars(text.data() + at + 1, end, value).ec != std::errc{}) return {};
      return value;
    };
    first = number(' ');
    total = number('/');
  }
};

// One request with its answer.
class Transfer {
 public:
  Transfer(const std::string& url, PartFile& part, const DownloadOptions& options,
           StopRequest& stop)
      : url_(url), part_(part), options_(options), stop_(stop), curl_(curl_easy_init()) {
    if (!curl_) throw std::bad_alloc();
    set_options();
  }

  // Empty when the file is whole, or why it is not, if another try may mend that; else throws.
  std::string run() {
    const CURLcode fault = curl_easy_perform(curl_.get());
    if (thrown_) std::rethrow_exception(thrown_);
    if (stop_.signal())
      throw Interrupted(stop_.signal(),
                        fmt::format("interrupted: {:.1f} MB are kept, the same command goes on",
                                    static_cast<double>(part_.size()) / kMegabyte));
    if (wrong_part_) return "the server sends another part than was asked for";
    if (fault != CURLE_OK) return judge(fault);
    return judge_answer();
  }

  // Whether a server was reached, and so may be again.
  bool reached() const { return status() != 0; }

 private:
  template <class Value>
  void set(CURLoption option, Value value) {
    if (const CURLcode fault = curl_easy_setopt(curl_.get(), option, value); fault != CURLE_OK)
      refuse(curl_easy_strerror(fault));
  }

  void set_options() {
    set(CURLOPT_URL, url_.c_str());
    set(CURLOPT_PROTOCOLS_STR, "http,https,file");
    set(CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    set(CURLOPT_FOLLOWLOCATION, 1L);
    set(CURLOPT_MAXREDIRS, kMostRedirects);
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_USERAGENT, "etude");
    set(CURLOPT_ERRORBUFFER, message_.data());
    set(CURLOPT_CONNECTTIMEOUT, static_cast<long>(options_.stalled_after));
    set(CURLOPT_MAXFILESIZE_LARGE, static_cast<curl_off_t>(options_.limit));
    set(CURLOPT_HEADERFUNCTION, &Transfer::on_header);
    set(CURLOPT_HEADERDATA, this);
    set(CURLOPT_WRITEFUNCTION, &Transfer::on_body);
    set(CURLOPT_WRITEDATA, this);
    set(CURLOPT_NOPROGRESS, 0L);
    set(CURLOPT_XFERINFOFUNCTION, &Transfer::on_progress);
    set(CURLOPT_XFERINFODATA, this);
    if (part_.size() > 0) {
      add_header(fmt::format("Range: bytes={}-", part_.size()));
      add_header("If-Range: " + part_.version());
      set(CURLOPT_HTTPHEADER, headers_.get());
    }
  }

  void add_header(const std::string& line) {
    curl_slist* longer = curl_slist_append(headers_.get(), line.c_str());
    if (!longer) throw std::bad_alloc();
    static_cast<void>(headers_.release());
    headers_.reset(longer);
  }

  long status() const {  // 0 before any answer, and for files
    long code = 0;
    curl_easy_getinfo(curl_.get(), CURLINFO_RESPONSE_CODE, &code);
    return code;
  }

  [[noreturn]] void refuse(const std::string& why) const { throw Error(url_ + ": " + why); }

  // Exceptions must not pass through C: they wait for run().
  template <class Work>
  bool guarded(Work work) noexcept {
    try {
      work();
      return true;
    } catch (...) {
      thrown_ = std::current_exception();
      return false;
    }
  }

  static size_t on_header(char* line, size_t, size_t size, void* self) {
    auto& transfer = *static_cast<Transfer*>(self);
    return transfer.guarded([&] { transfer.header({line, size}); }) ? size : 0;
  }

  static size_t on_body(char* bytes, size_t, size_t size, void* self) {
    auto& transfer = *static_cast<Transfer*>(self);
    const bool taken = transfer.guarded([&] { transfer.body({bytes, size}); });
    return taken && !transfer.wrong_part_ ? size : CURL_WRITEFUNC_ERROR;
  }

  static int on_progress(void* self, curl_off_t total, curl_off_t, curl_off_t, curl_off_t) {
    auto& transfer = *static_cast<Transfer*>(self);
    const bool shown = transfer.guarded([&] { transfer.show(total); });
    return shown && !transfer.stop_.signal() && !transfer.stalled() ? 0 : 1;
  }

  // libcurl's own limit of speed looks at the mean of the last seconds.
  bool stalled() const {
    return Clock::now() - heard_ > std::chrono::seconds(options_.stalled_after);
  }

  void header(std::string_view line) {
    heard_ = Clock::now();
    if (line.starts_with("HTTP/")) {  // of a redirect's answer, or of the next
      tag_.clear(), date_.clear(), range_.clear();
      return;
    }
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos) return;
    std::string name(line.substr(0, colon)), value(line.substr(colon + 1));
    std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::tolower(c); });
    value.erase(value.find_last_not_of(" \t\r\n") + 1);
    value.erase(0, value.find_first_not_of(" \t"));
    if (name == "etag" && !value.starts_with("W/")) tag_ = value;  // a weak one does not do
    if (name == "last-modified") date_ = value;
    if (name == "content-range") range_ = value;
  }

  void body(std::string_view bytes) {
    heard_ = Clock::now();
    if (!begin()) return;  // the text of an error page
    if (part_.size() + bytes.size() > options_.limit)
      refuse(fmt::format("more than {} bytes, which is more than is wanted", options_.limit));
    part_.append(bytes);
  }

  // False when what comes is not the file.
  bool begin() {
    if (begun_) return true;
    const long code = status();
    wrong_part_ = code == 206 && ContentRange(range_).first != part_.size();
    if (wrong_part_) {
      part_.begin({});
      return false;
    }
    if (code == 200 || code == 0) part_.begin(tag_.empty() ? date_ : tag_);
    begun_ = code == 200 || code == 206 || code == 0;
    return begun_;
  }

  void show(curl_off_t rest) {
    if (!begun_) return;
    const uint64_t done = part_.size();
    if (!progress_) {
      curl_off_t came = 0;
      curl_easy_getinfo(curl_.get(), CURLINFO_SIZE_DOWNLOAD_T, &came);
      const uint64_t first = done - std::min(done, static_cast<uint64_t>(came));
      const uint64_t total = rest > 0 ? first + static_cast<uint64_t>(rest) : 0;
      progress_.emplace(options_.title, "MB",
                        static_cast<int64_t>((total + kMegabyte - 1) / kMegabyte),
                        static_cast<int64_t>(first / kMegabyte));
    }
    progress_->advance(static_cast<int64_t>(done / kMegabyte));
  }

  std::string judge(CURLcode fault) const {
    const std::string why = message_[0] ? message_.data() : curl_easy_strerror(fault);
    switch (fault) {
      case CURLE_OPERATION_TIMEDOUT:
      case CURLE_ABORTED_BY_CALLBACK:
        return fmt::format("nothing came for {} s", options_.stalled_after);
      case CURLE_FILESIZE_EXCEEDED:
        refuse(fmt::format("more than {} bytes, which is more than is wanted", options_.limit));
      case CURLE_COULDNT_RESOLVE_HOST:
      case CURLE_COULDNT_RESOLVE_PROXY:
      case CURLE_COULDNT_CONNECT:
      case CURLE_PARTIAL_FILE:
      case CURLE_GOT_NOTHING:
      case CURLE_SEND_ERROR:
      case CURLE_RECV_ERROR:
      case CURLE_SSL_CONNECT_ERROR:
      case CURLE_HTTP2:
      case CURLE_HTTP2_STREAM:
        return why;
      default:
        refuse(why);
    }
  }

  std::string judge_answer() {
    const long code = status();
    if (begin()) return {};  // an empty file has no body to begin with
    if (code == 416) {
      if (ContentRange(range_).total == part_.size()) return {};  // it was whole before
      part_.begin({});
      return "the server has another file now";
    }
    const std::string why = fmt::format("the server answers {}", code);
    if (code == 408 || code == 429 || code >= 500) return why;
    refuse(why);
  }

  const std::string& url_;
  PartFile& part_;
  const DownloadOptions& options_;
  StopRequest& stop_;
  std::unique_ptr<CURL, FreeCurl> curl_;
  std::unique_ptr<curl_slist, FreeList> headers_;
  std::array<char, CURL_ERROR_SIZE> message_{};
  std::string tag_, date_, range_;  // headers of the last answer
  std::optional<Progress> progress_;
  std::exception_ptr thrown_;
  Clock::time_point heard_ = Clock::now();
  bool begun_ = false, wrong_part_ = false;
};

void wait(std::chrono::milliseconds time, StopRequest& stop) {
  const auto end = Clock::now() + time;
  while (Clock::now() < end && !stop.signal())
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
}

}  // namespace

void download(const std::string& url, const fs::path& part, const DownloadOptions& options,
              StopRequest& stop) {
  static const CURLcode ready = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (ready != CURLE_OK) throw Error(fmt::format("libcurl: {}", curl_easy_strerror(ready)));
  PartFile file(part, url);
  bool reached = false;
  int failures = 0;
  while (true) {
    const uint64_t before = file.size();
    Transfer transfer(url, file, options, stop);
    const std::string why = transfer.run();
    if (why.empty() && file.size() == 0)
      throw Error(url + ": nothing came: it is an empty file, or a folder");
    if (why.empty()) return;
    reached = reached || transfer.reached();
    failures = file.size() > before ? 1 : failures + 1;
    if (!reached || failures > options.retries) throw Error(url + ": " + why);
    const auto pause = std::chrono::milliseconds(500) * (1 << std::min(failures - 1, 5));
    tell_line(fmt::format("{}: {}; trying again", url, why));
    wait(pause, stop);
  }
}

void remove_download(const fs::path& part) {
  std::error_code ignored;
  fs::remove(part, ignored);
  fs::remove(origin_of(part), ignored);
}
}  // namespace etude::apps
