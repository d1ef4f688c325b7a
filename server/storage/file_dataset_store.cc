#include "server/storage/file_dataset_store.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/base/crc32c.h"
#include "server/base/status_macros.h"
#include "server/storage/dataset_header.h"

namespace polyak::storage {
namespace {

constexpr char kNamePrefix[] = "datasets/";
constexpr char kEnding[] = ".dataset";
constexpr char kUnfinishedEnding[] = ".new";

std::string_view BytesOf(std::span<const double> values) {
  return {reinterpret_cast<const char*>(values.data()), values.size_bytes()};
}

absl::StatusOr<DatasetHeaderForm> ReadHeader(const base::File& file) {
  std::string bytes(kDatasetHeaderBytes, '\0');
  POLYAK_ASSIGN_OR_RETURN(const int64_t size, file.Read(0, bytes));
  POLYAK_ASSIGN_OR_RETURN(auto header,
                          DecodeDatasetHeader(std::string_view{bytes}.substr(0, size)));
  POLYAK_ASSIGN_OR_RETURN(const int64_t file_bytes, file.Size());
  const int64_t wanted = kDatasetHeaderBytes + 8 * CountValues(header.dataset);
  if (file_bytes != wanted) {
    return absl::DataLossError(absl::StrCat("it has ", file_bytes, " bytes and not ", wanted));
  }
  return header;
}

// An error of a file as one of the data set that it should hold.
absl::Status Named(const std::string& dataset, const absl::Status& status) {
  return {status.code(),
          absl::StrCat(dataset, absl::IsDataLoss(status) ? " is damaged: " : " can't be used: ",
                       status.message())};
}

}  // namespace

// The header comes last: until then the file starts with zeros, which are none.
class FileDatasetStore::FileUpload : public DatasetStore::Upload {
 public:
  FileUpload(const FileDatasetStore& store, std::string path, std::unique_ptr<base::File> file)
      : store_(store), path_(std::move(path)), file_(std::move(file)) {}
  ~FileUpload() override {
    if (!committed_) {
      file_.reset();
      (void)store_.files_->Remove(path_);  // else at the next start
    }
  }

  absl::Status Append(std::span<const double> values) override {
    const std::string_view bytes = BytesOf(values);
    POLYAK_RETURN_IF_ERROR(file_->Write(end_, bytes));
    end_ += static_cast<int64_t>(bytes.size());
    crc_ = base::Crc32c(bytes, crc_);
    return absl::OkStatus();
  }

  absl::Status Commit(const v1::StoredDataset& dataset) override {
    POLYAK_RETURN_IF_ERROR(file_->Write(0, EncodeDatasetHeader({dataset, crc_})));
    POLYAK_RETURN_IF_ERROR(file_->Sync());
    POLYAK_RETURN_IF_ERROR(store_.files_->Rename(path_, store_.PathOf(dataset.name())));
    committed_ = true;
    const absl::Status synced = store_.files_->SyncDirectory(store_.directory());
    if (!synced.ok()) {
      (void)store_.files_->Remove(store_.PathOf(dataset.name()));
    }
    return synced;
  }

 private:
  const FileDatasetStore& store_;
  const std::string path_;
  std::unique_ptr<base::File> file_;
  int64_t end_ = kDatasetHeaderBytes;
  uint32_t crc_ = 0;
  bool committed_ = false;
};

std::string FileDatasetStore::PathOf(const std::string& name) const {
  return absl::StrCat(directory(), name.substr(name.rfind('/')), kEnding);
}

absl::StatusOr<std::unique_ptr<FileDatasetStore>> FileDatasetStore::Open(base::FileSystem& files,
                                                                         const Options& options) {
  const std::string directory = options.data_directory + "/datasets";
  POLYAK_RETURN_IF_ERROR(files.CreateDirectory(directory));
  POLYAK_RETURN_IF_ERROR(files.SyncDirectory(options.data_directory));
  POLYAK_ASSIGN_OR_RETURN(
      auto guarded, DiskBudget::Open(files, {directory, std::nullopt, options.reserve_bytes}));
  return std::unique_ptr<FileDatasetStore>(new FileDatasetStore(options, std::move(guarded)));
}

absl::StatusOr<DatasetStore::Loaded> FileDatasetStore::Load() {
  POLYAK_ASSIGN_OR_RETURN(auto names, files_->List(directory()));
  std::sort(names.begin(), names.end());
  Loaded loaded;
  for (const std::string& name : names) {
    const std::string path = absl::StrCat(directory(), "/", name);
    if (absl::EndsWith(name, kUnfinishedEnding)) {
      POLYAK_RETURN_IF_ERROR(files_->Remove(path));
    }
    if (!absl::EndsWith(name, kEnding)) {
      continue;
    }
    // One that can't be read must not keep a server with all others from its start.
    const auto file = files_->Open(path, base::FileSystem::Mode::kRead);
    auto header = file.ok() ? ReadHeader(**file) : file.status();
    if (header.ok() && PathOf(header->dataset.name()) != path) {
      header = absl::DataLossError(absl::StrCat("it holds ", header->dataset.name()));
    }
    if (header.ok()) {
      loaded.datasets.push_back(std::move(header->dataset));
      continue;
    }
    const std::string dataset =
        absl::StrCat(kNamePrefix, name.substr(0, name.size() + 1 - sizeof(kEnding)));
    loaded.unusable.emplace_back(dataset, Named(dataset, header.status()));
    if (options_.on_damage) {
      options_.on_damage(absl::Status(header.status().code(),
                                      absl::StrCat(path, ": ", header.status().message())));
    }
  }
  return loaded;
}

absl::StatusOr<std::unique_ptr<DatasetStore::Upload>> FileDatasetStore::Begin() {
  std::string path = absl::StrCat(directory(), "/upload-", uploads_++, kUnfinishedEnding);
  POLYAK_ASSIGN_OR_RETURN(auto file, files_->Open(path, base::FileSystem::Mode::kOverwrite));
  return std::make_unique<FileUpload>(*this, std::move(path), std::move(file));
}

absl::Status FileDatasetStore::Read(const v1::StoredDataset& dataset, const Take& take) const {
  const std::string path = PathOf(dataset.name());
  const auto opened = files_->Open(path, base::FileSystem::Mode::kRead);
  if (absl::IsNotFound(opened.status())) {
    return Named(dataset.name(), absl::DataLossError("its file is gone from the disk"));
  }
  POLYAK_RETURN_IF_ERROR(opened.status());
  const std::unique_ptr<base::File>& file = *opened;
  const auto header = ReadHeader(*file);
  if (!header.ok()) {
    return Named(dataset.name(), header.status());
  }
  if (header->dataset.sha256() != dataset.sha256()) {
    return Named(dataset.name(), absl::DataLossError("its file holds another data set"));
  }
  constexpr int64_t kBlockValues = 8192;
  const int64_t count = CountValues(header->dataset);
  std::vector<double> block;
  uint32_t crc = 0;
  for (int64_t given = 0; given < count; given += kBlockValues) {
    block.resize(static_cast<size_t>(std::min(kBlockValues, count - given)));
    const std::span<char> bytes(reinterpret_cast<char*>(block.data()), 8 * block.size());
    POLYAK_ASSIGN_OR_RETURN(const int64_t read, file->Read(kDatasetHeaderBytes + 8 * given, bytes));
    if (read != static_cast<int64_t>(bytes.size())) {
      return Named(dataset.name(), absl::DataLossError("its file is cut"));
    }
    crc = base::Crc32c(BytesOf(block), crc);
    take(block);
  }
  return crc == header->values_crc
             ? absl::OkStatus()
             : Named(dataset.name(), absl::DataLossError("the checksum of the values is wrong"));
}

absl::Status FileDatasetStore::Remove(const std::string& name) {
  const absl::Status removed = files_->Remove(PathOf(name));
  POLYAK_RETURN_IF_ERROR(absl::IsNotFound(removed) ? absl::OkStatus() : removed);
  return files_->SyncDirectory(directory());
}

}  // namespace polyak::storage
