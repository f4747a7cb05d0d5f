using Hull.Hypervisor.Monitor;
using Hull.Hypervisor.Sandboxes;
using Hull.Hypervisor.Templates;

namespace Hull.Engine.Drivers.Vm;

/// <summary>
/// Templates of images: live templates that have the container of an image created already, for instances that are run again
/// and again in one form. One is made in the background when a form is run for the second time, as a twin of the template of
/// its shape, with which it shares what neither has changed. They end when nobody used them for long.
/// </summary>
/// <param name="most">How many there may be.</param>
/// <param name="ended">Told the key of one that ends.</param>
internal sealed class ImageTemplates(LiveTemplates live, int most, SpareMemory memory, Action<string> ended, TimeProvider clock)
{
    private readonly RecentForms _forms = new(most, clock);

    /// <summary>What an instance of that form begins from, where it is ready. Null may begin to make it.</summary>
    /// <param name="template">The template of its shape.</param>
    public TemplateSource? Find(GuestSource guest, TemplateSource template, SandboxShape shape, ImageForm image)
    {
        var key = image.KeyIn(template.Key);
        var isWorthOne = _forms.Use(key, template.Key, out var other);
        if (other is not null) _ = EndAsync([other]);
        // They are the first that memory is taken from, with the pool: nobody's work is lost with them.
        if (!isWorthOne || (!memory.IsPlenty && !live.Has(key))) return null;
        memory.Watch();
        return live.Find(key, home => live.RequestFor(home, guest, template, shape) with { Image = image.WriteTo(home) }) is { } found
            ? template with { Key = key, Live = found, WritablePath = Path.Combine(found.Directory, LiveTemplate.WritableName) }
            : null;
    }

    /// <summary>Ends those that were not used since, or were made of that template; their instances go on.</summary>
    public Task DropAsync(DateTimeOffset before, string? template = null) => EndAsync(_forms.Drop(before, template));

    private async Task EndAsync(IReadOnlyList<string> keys)
    {
        foreach (var key in keys)
        {
            ended(key);
            await live.EndAsync(key).ConfigureAwait(false);
        }

        if (keys.Count > 0) _ = RemoveFilesAsync(keys);
    }

    /// <summary>An instance that found one a moment ago may be about to copy its disk.</summary>
    private async Task RemoveFilesAsync(IReadOnlyList<string> keys)
    {
        await Task.Delay(RecentForms.ShortTime, clock).ConfigureAwait(false);
        foreach (var key in keys) live.RemoveFiles(key);
    }
}
