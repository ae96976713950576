// FilePond: how photos come in (dropped, pasted, chosen), and how far each is.

import * as FilePond from "filepond";
import ImageExifOrientation from "filepond-plugin-image-exif-orientation";
import FileValidateSize from "filepond-plugin-file-validate-size";
import FileValidateType from "filepond-plugin-file-validate-type";
import ImagePreview from "filepond-plugin-image-preview";

FilePond.registerPlugin(FileValidateSize, FileValidateType, ImageExifOrientation, ImagePreview);

const MOST = 20;
const SIZE = "20MB";
const EMPTY = 'Drop a photo here<br>or paste it, or <span class="filepond--label-action">choose one</span>';
const MORE = '<span class="filepond--label-action">Add more photos</span>';
const TYPES = { heic: "image/heic", heif: "image/heif", avif: "image/avif" };
const NO_PHOTO = 415; // HTTP's status

/** Make the picker. `upload(file, progress)` is asked for each photo; `on` is told of those that
 * come, fail and go: {added, refused, failed, removed, tooMany}; `added` answers, as a promise,
 * when there are hashtags, and `failed` whether another try may end better. */
export function createPicker(input, upload, on) {
  const drawable = new WeakSet(); // files; FilePond's preview stumbles over others
  const pond = FilePond.create(input, {
    allowMultiple: true,
    maxFiles: MOST,
    maxFileSize: SIZE,
    maxParallelUploads: MOST, // each was started when it came
    allowMinimumUploadDuration: false,
    acceptedFileTypes: ["image/*"],
    fileValidateTypeDetectType: (file, type) => Promise.resolve(type || typeByName(file.name)),
    labelFileTypeNotAllowed: "This is not a photo",
    fileValidateTypeLabelExpectedTypes: "JPEG, PNG, WebP, HEIC and the like",
    labelMaxFileSizeExceeded: "Too large",
    labelMaxFileSize: "20 MB at most",
    labelFileProcessing: "Looking",
    labelFileProcessingComplete: "Done",
    labelFileProcessingError: (error) => error.body,
    allowProcess: true,
    labelTapToCancel: "",
    labelTapToUndo: "",
    labelTapToRetry: "",
    imagePreviewHeight: 64,
    imagePreviewFilterItem: ({ file }) => drawable.has(file),
    labelIdle: EMPTY,
    dropOnPage: true,
    dropOnElement: false,
    credits: false,
    labelButtonRemoveItem: "Remove",
    server: { revert: null, process: (_, file, __, ...told) => process(upload, file, ...told) },
    onwarning: () => on.tooMany(MOST),
    beforeAddFile: async ({ id, file }) => {
      on.added(file).then(() => showAnswered(id), () => {}); // `failed` is told
      if (await isDrawable(file)) drawable.add(file);
      return true;
    },
    onaddfile: (error, item) => error && on.refused(item, error),
    onprocessfile: (error, item) => error && showFailed(item.id, on.failed(item.file)),
    onremovefile: (_, item) => on.removed(item.file),
    onupdatefiles: (items) => pond.setOptions({ labelIdle: items.length ? MORE : EMPTY }),
  });
  return pond;
}

function process(upload, file, done, failed, progress, stopped) {
  const told = (event) => progress(event.lengthComputable, event.loaded, event.total);
  upload(file, told).then(
    () => done(file.name),
    ({ status }) => failed(status === NO_PHOTO ? "Not a photo" : "Failed"),
  );
  return { abort: stopped };
}

/** At once: FilePond's own word waits until nothing moves any more. */
function showAnswered(id) {
  elementOf(id)?.setAttribute("data-answered", "");
}

/** FilePond offers another try after every failure: here only after one that may pass. */
function showFailed(id, mayPass) {
  elementOf(id)?.toggleAttribute("data-lasting", !mayPass);
}

function elementOf(id) {
  return document.getElementById(`filepond--item-${id}`);
}

/** As FilePond's preview will try it; an <img> forgives more. */
function isDrawable(file) {
  return createImageBitmap(file, { resizeWidth: 1, resizeHeight: 1 }).then(
    (bitmap) => (bitmap.close(), true),
    () => false,
  );
}

function typeByName(name) {
  return TYPES[name.split(".").pop().toLowerCase()] ?? "";
}
