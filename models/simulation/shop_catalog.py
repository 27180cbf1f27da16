"""The vocabulary of the simulated shop: departments, categories, leaves, and words for their items."""

from __future__ import annotations

from dataclasses import dataclass

COLOURS = ("black", "sage green", "slate grey", "cream", "navy blue", "rust red")
# fmt: off
FIRST_NAMES = (
    "anna", "ben", "clara", "david", "elena", "felix", "greta", "hugo", "ines", "jonas", "karla", "leon", "maria", "nils", "olga", "paul",
    "rosa", "simon", "tessa", "ulrich", "vera", "wilma", "yara", "zoe", "amir", "bela", "chloe", "dario", "emil", "fatima", "goran",
    "hana", "igor", "julia", "kenji", "lucia", "marco", "nadia", "oscar", "priya", "quentin", "ruth", "samuel", "tara", "umar", "viktor",
)
# fmt: on


@dataclass(frozen=True)
class Leaf:
    """One kind of item: the narrowest category."""

    department: str
    category: str
    name: str
    nouns: tuple[str, ...]
    uses: tuple[str, ...]
    makes: tuple[str, ...]
    sizes: tuple[str, ...]
    price: float

    @property
    def slug(self) -> str:
        return self.name.lower().replace(" ", "-")


# department | category | makes | sizes | price, then its leaves: name | nouns | uses
_WORDS = """
# Kitchen | Cookware | cast iron, stainless steel, copper, enamelled, non-stick | 20 cm, 24 cm, 28 cm, 32 cm | 48
Frying pans | skillet, frying pan, grill pan, crepe pan | searing steaks, Sunday omelettes, thin pancakes, crisp potatoes
Saucepans | saucepan, milk pan, simmering pot, butter warmer | sauces, porridge, melting chocolate, boiling eggs
Casseroles | casserole, Dutch oven, stew pot, braising dish | slow stews, braised beef, no-knead bread, winter soups
Woks and steamers | wok, steamer basket, dumpling pan, rice pot | stir-fries, dumplings, steamed greens, fried rice
# Kitchen | Baking | aluminium, silicone, ceramic, carbon steel, glass | small, medium, large, extra large | 19
Cake tins | springform tin, bundt tin, loaf tin, tart tin | birthday cakes, banana bread, lemon tarts, sponge layers
Bread baking | proofing basket, baking stone, bread cloche, dough bowl | sourdough, crusty loaves, pizza nights, slow dough
Pastry tools | piping set, pastry board, rolling pin, icing turner | croissants, icing, puff pastry, decorated biscuits
Biscuit making | cookie sheet, biscuit press, cutter set, cooling rack | ginger biscuits, shortbread, advent baking, macarons
# Kitchen | Coffee and tea | brass, matt steel, walnut, porcelain, travel | two cups, four cups, six cups, eight cups | 39
Espresso | espresso maker, portafilter, tamper, milk jug | short espresso, milk foam, cappuccino, latte art
Filter coffee | pour-over dripper, coffee server, gooseneck kettle, filter stand | slow coffee, bright roasts, mornings, cold drip
Coffee grinding | burr grinder, bean canister, dosing scoop, coffee scale | fresh beans, even grounds, weighing doses, storing roasts
Tea making | teapot, tea strainer, tea caddy, matcha whisk | loose leaf tea, green matcha, herbal infusions, afternoon tea
# Kitchen | Knives and boards | walnut-handled, forged, Damascus, olive wood, ceramic-coated | 12 cm, 16 cm, 20 cm, 24 cm | 62
Chef knives | chef knife, santoku, utility knife, cleaver | chopping vegetables, slicing meat, dicing onions, fine herbs
Bread and carving | bread knife, carving knife, slicing knife, carving fork | crusty bread, roast dinners, ham, turkey
Sharpening | whetstone, honing steel, knife sharpener, leather strop | dull blades, razor edges, steel care, honing
Chopping boards | chopping board, carving board, cheese board, board stand | chopping, cheese evenings, serving, carving roasts
# Garden | Garden tools | ash-handled, hardened steel, telescopic, lightweight, heritage | short, medium, long, extra long | 32
Spades and forks | digging spade, border fork, planting trowel, hand fork | turning soil, digging beds, planting bulbs, lifting roots
Pruning | secateurs, lopper, pruning saw, hedge shears | roses, fruit trees, thick branches, trimming hedges
Lawn care | lawn rake, edging iron, push mower, lawn aerator | tidy lawns, moss, mowing, clean edges
Weeding | hoe, weed puller, cultivator, joint scraper | weeds, loosening soil, paving joints, dandelions
# Garden | Growing | peat-free, organic, heirloom, beginner, balcony | one tray, two trays, four trays, six trays | 14
Vegetable seeds | tomato seeds, bean seeds, squash seeds, lettuce seeds | kitchen gardens, salads, summer harvests, raised beds
Flower seeds | wildflower mix, sunflower seeds, sweet pea seeds, poppy seeds | bees, borders, cut flowers, meadows
Seedling care | propagator, seed tray, heat mat, dibber set | sowing, germination, windowsills, pricking out
Soil and compost | potting soil, compost bin, worm farm, leaf mulch | healthy soil, kitchen scraps, repotting, mulching
# Garden | Watering | galvanised, self-draining, brass-fitted, recycled, weatherproof | small, medium, large, extra large | 29
Watering cans | watering can, mister, indoor can, rose head | thirsty pots, seedlings, ferns, patios
Hoses | garden hose, hose reel, spray gun, hose connector | long beds, washing down, lawns, reaching corners
Irrigation | drip kit, soaker hose, watering timer, olla pot | holidays, dry summers, steady moisture, greenhouses
Rain collecting | rain barrel, downpipe filter, barrel stand, barrel tap | saving rain, roofs, dry weeks, soft water
# Garden | Outdoor living | teak, powder-coated, woven, terracotta, rustic | small, medium, large, extra large | 95
Garden furniture | garden bench, patio table, lounge chair, hammock | terraces, lazy afternoons, garden parties, shade
Barbecue | charcoal grill, smoker, grill tongs, chimney starter | ribs, grilling, embers, summer evenings
Pots and planters | planter, hanging pot, trough, plant stand | balconies, geraniums, herbs, doorsteps
Bird feeding | bird feeder, nest box, bird bath, suet holder | robins, blue tits, winter birds, nesting
# Outdoors | Camping | ultralight, four-season, canvas, ripstop, storm-proof | one person, two person, three person, four person | 130
Tents | dome tent, tunnel tent, trekking tent, tarp | wild camping, rainy nights, mountain passes, festivals
Sleeping bags | sleeping bag, bag liner, camping quilt, bivy sack | cold nights, frost, huts, warm dreams
Sleeping mats | sleeping mat, foam pad, air bed, camp pillow | rocky ground, side sleepers, insulation, comfort
Camp furniture | camp chair, camp table, cot, camp stool | campfires, fishing trips, long evenings, base camps
# Outdoors | Camp cooking | ultralight, compact, rugged, stackable, insulated | solo, duo, trio, family | 42
Camp stoves | gas stove, spirit burner, wood stove, stove windshield | boiling water, alpine meals, snow melting, quick suppers
Camp cookware | mess kit, camp kettle, billy can, spork set | one-pot dinners, trail coffee, noodles, oats
Water treatment | water filter, purifier bottle, water bag, steriliser pen | streams, clean water, travel, desert tracks
Cool boxes | cool box, ice pack, cool bag, bottle sleeve | picnics, beach days, cold drinks, road trips
# Outdoors | Hiking | waterproof, cushioned, recycled nylon, leather, breathable | small, medium, large, extra large | 88
Backpacks | daypack, trekking pack, rain cover, hip bag | long trails, summits, hut tours, commuting
Hiking boots | hiking boot, approach shoe, gaiters, trail sandal | scree, muddy paths, ankle support, wet meadows
Trekking poles | trekking pole, folding pole, pole tips, wrist straps | steep descents, knees, snowshoeing, balance
Navigation | compass, map case, altimeter, trail journal | route finding, fog, ridges, orienteering
# Outdoors | Climbing | all-round, lightweight, expert, alpine, competition | small, medium, large, extra large | 74
Ropes | climbing rope, rope bag, prusik cord, accessory cord | sport climbing, multi-pitch, glacier tours, rappelling
Harnesses | climbing harness, chest harness, belay gloves, chalk bag | belaying, hanging belays, climbing gyms, crags
Carabiners | locking carabiner, quickdraw set, belay device, pulley | clipping bolts, anchors, rescue, hauling
Bouldering | crash pad, bouldering brush, finger tape, hangboard | boulder problems, finger strength, highballs, dry skin
# Books | Crime | The silent, The last, A cold, The seventh, Beneath the | paperback, hardback, large print, illustrated | 16
Detective novels | harbour murder, lighthouse case, vicarage mystery, night train affair | inspectors, alibis, suspects, a locked room
Spy thrillers | Berlin courier, double agent, Vienna protocol, embassy leak | cold war spies, dead drops, betrayal, secret files
Courtroom dramas | jury, verdict, witness, closing argument | lawyers, trials, justice, cross-examination
Nordic noir | fjord, winter body, ice road, midnight sun | bleak winters, weary detectives, small towns, snow
# Books | Speculative fiction | Beyond the, Children of the, The forgotten, Song of the, A map of the | paperback, hardback | 18
Space opera | star fleet, outer colony, ringworld, galactic throne | starships, alien empires, interstellar war, smugglers
Epic fantasy | dragon crown, raven tower, elder forest, sword oath | dragons, magic, quests, ancient kingdoms
Dystopias | glass city, last server, drowned coast, quiet curfew | surveillance, rebellion, climate collapse, survival
Ghost stories | haunted mill, drowned bride, attic voices, crooked manor | hauntings, old houses, seances, fear at night
# Books | True stories | A short history of, Letters on, The hidden life of, Notes from, In praise of | paperback, hardback | 22
History books | Roman roads, medieval towns, the silk trade, the polar race | empires, trade routes, explorers, archives
Science books | black holes, the human brain, deep oceans, small numbers | physics, evolution, curious minds, experiments
Nature writing | old hedgerows, river otters, mountain birds, mossy woods | wild places, seasons, birdsong, walking
Biographies | a jazz pianist, a woman astronomer, a chess champion, an island doctor | remarkable lives, genius, letters, failure and fame
# Books | Practical books | The complete, Simple, A year of, Mastering, The joy of | spiral bound, hardback, paperback, pocket edition | 24
Cookbooks | weeknight suppers, vegetarian feasts, Italian pasta, sourdough baking | family recipes, seasonal cooking, spices, quick dinners
Gardening books | cottage gardens, vegetable plots, indoor plants, fruit growing | planting plans, pruning, compost, harvest calendars
Craft books | hand knitting, woodcarving, pottery, quilting | patterns, step-by-step projects, beginners, handmade gifts
Travel guides | Alpine walks, Japanese railways, Atlantic islands, Balkan towns | itineraries, slow travel, maps, local food
# Sound and screens | Headphones | studio, foldable, travel, everyday, premium | compact, regular, pro, reference | 140
Over-ear headphones | over-ear headphones, monitor headphones, headset, headphone stand | long flights, mixing, quiet offices, deep bass
Earbuds | earbuds, sport earbuds, ear tips, charging case | jogging, commuting, phone calls, podcasts
Headphone amplifiers | headphone amplifier, audio converter, balanced cable, volume dial | high fidelity, detail, lossless music, desks
Hearing care | earplugs, ear defenders, sleep headband, noise machine | concerts, sleeping, workshops, focus
# Sound and screens | Home audio | walnut, piano black, active, vintage, slimline | 40 watt, 80 watt, 120 watt, 200 watt | 260
Speakers | bookshelf speaker, floor speaker, speaker stand, subwoofer | warm sound, film nights, stereo music, parties
Turntables | turntable, phono cartridge, record brush, phono preamp | vinyl records, crackling jazz, collections, needles
Radios | kitchen radio, world receiver, clock radio, radio antenna | news, breakfast, football afternoons, distant stations
Amplifiers | stereo amplifier, tube amplifier, receiver, speaker cable | hi-fi systems, power, analogue warmth, streaming
# Sound and screens | Making music | mahogany, vintage, travel, student, concert | compact, standard, large, stage edition | 180
Guitars | acoustic guitar, ukulele, guitar capo, guitar strings | campfire songs, chords, fingerpicking, songwriting
Keyboards | stage piano, synthesizer, sustain pedal, keyboard bench | practice, sound design, Bach, bands
Percussion | cajon, hand drum, drum sticks, practice pad | rhythm, jam sessions, drummers, groove
Recording | condenser microphone, audio interface, pop filter, microphone arm | vocals, podcasting, demos, home studios
# Sound and screens | Photography | weather-sealed, carbon, travel, retro, reporter | compact, standard, large, professional | 310
Cameras | system camera, film camera, instant camera, camera strap | portraits, street photography, travel pictures, memories
Lenses | prime lens, macro lens, lens hood, polarising filter | sharp portraits, insects, landscapes, low light
Tripods | tripod, ball head, monopod, clamp mount | long exposures, night skies, timelapse, steady video
Darkroom | developing tank, film scanner, safelight, print tray | black and white film, negatives, prints, chemistry
# Sport | Cycling | carbon, alloy, touring, reflective, aero | narrow, standard, wide, extra wide | 69
Bike parts | saddle, handlebar, pedal set, brake set | rebuilding bikes, upgrades, comfort, braking
Bike tools | multi-tool, floor pump, chain whip, tyre lever | flat tyres, home repairs, chain care, roadside fixes
Bike bags | pannier, frame bag, saddle bag, handlebar roll | bike touring, bikepacking, commuting, groceries
Bike lights | front light, rear light, dynamo light, helmet light | dark mornings, being seen, night rides, rain
# Sport | Running | seamless, thermal, featherlight, mesh, merino | extra small, small, medium, large | 54
Running shoes | road running shoe, trail running shoe, racing flat, insoles | marathons, forest trails, tempo runs, daily miles
Running wear | running tights, running jacket, singlet, running socks | winter runs, windy days, races, sweat
Running gear | running belt, hydration vest, race watch, headlamp | long runs, ultra races, pacing, night running
Recovery | foam roller, massage ball, compression sleeves, stretching strap | sore calves, rest days, tight muscles, mobility
# Sport | Fitness | rubber-coated, adjustable, cork, braided, competition | light, medium, heavy, extra heavy | 44
Weights | kettlebell, dumbbell, barbell, weight plate | strength, swings, deadlifts, home gyms
Yoga | yoga mat, yoga block, yoga bolster, yoga strap | sun salutations, balance, meditation, breathing
Resistance training | resistance band, pull-up bar, suspension trainer, gymnastic rings | pull-ups, core, travel workouts, warm-up
Boxing | boxing gloves, punch bag, hand wraps, skipping rope | sparring, footwork, cardio, focus
# Sport | Water sports | touring, racing, beginner, all-weather, quick-dry | junior, small, medium, large | 160
Paddling | kayak, paddle board, paddle, dry bag | lakes, calm rivers, coastal tours, mornings on water
Swimming | swim goggles, swim fins, pull buoy, swim cap | lap swimming, technique, open water, triathlon
Surfing | surfboard, surf leash, wetsuit, board wax | waves, cold water, beginners, dawn patrol
Snorkelling | diving mask, snorkel, reef shoes, dive torch | coral reefs, tropical fish, clear bays, holidays
# Home | Bedroom | linen, organic cotton, down-filled, bamboo fibre, washed | single, double, queen, king | 85
Bed linen | duvet cover, fitted sheet, pillowcase, flat sheet | soft sleep, summer nights, guest beds, crisp sheets
Duvets and pillows | duvet, neck pillow, body pillow, mattress topper | warm winters, back pain, light sleepers, side sleeping
Blankets | throw, bedspread, weighted blanket, knitted blanket | reading corners, calm, sofas, cold feet
Nightstands | bedside table, sunrise alarm, tray table, book holder | small bedrooms, gentle mornings, night reading, order
# Home | Lighting | opal glass, rattan, brushed brass, paper, concrete | mini, small, medium, large | 78
Pendant lights | pendant lamp, lamp shade, chandelier, cable set | dining tables, hallways, high ceilings, warm light
Table lamps | table lamp, banker lamp, mushroom lamp, lamp base | side tables, cosy evenings, window sills, soft glow
Desk lamps | desk lamp, clamp lamp, reading light, magnifier lamp | homework, drawing, late work, tired eyes
Candles | pillar candle, candle holder, lantern, scented candle | advent, bath time, dinner, festive tables
# Home | Storage | oak, wire, felt, rattan-woven, birch | two compartments, three compartments, four compartments, six compartments | 58
Shelves | wall shelf, bookcase, ladder shelf, shelf brackets | book lovers, narrow rooms, display, tidy walls
Baskets and boxes | storage basket, storage box, laundry basket, drawer organiser | toys, laundry, wardrobes, clutter
Coat racks | coat rack, wall hooks, shoe bench, umbrella stand | entrance halls, wet coats, muddy shoes, visitors
Kitchen storage | spice rack, pantry jar, bread bin, plate rack | spices, dry goods, small kitchens, open shelves
# Home | Cleaning and laundry | refillable, plant-based, extra strong, fragrance-free, compact | 1 pack, 2 pack, 3 pack, 5 pack | 17
Floor care | broom, floor mop, dustpan, floor soap | wooden floors, pet hair, tiles, spring cleaning
Laundry | drying rack, clothes pegs, ironing board, wool wash | delicate wool, small flats, shirts, line drying
Bathroom cleaning | bath scrubber, squeegee, limescale remover, toilet brush | shiny taps, limescale, showers, grout
Dish washing | dish brush, draining rack, dish cloth, bottle brush | greasy pans, glasses, daily dishes, plastic-free kitchens
# Crafts and play | Yarn crafts | beginner, natural, Nordic, vintage, studio | mini, classic, large, extra large | 15
Knitting | sock yarn, knitting needles, stitch markers, chunky yarn | socks, jumpers, cables, long evenings
Crochet | crochet hook, amigurumi kit, crochet thread, granny square kit | toys, blankets, lace, lazy weekends
Weaving | lap loom, weaving shuttle, warp thread, tapestry kit | wall hangings, scarves, texture, patterns
Embroidery | embroidery hoop, floss set, sampler kit, stitching frame | monograms, flowers, cross stitch, gifts
# Crafts and play | Art supplies | artist-grade, student-grade, vivid, pocket, lightfast | 12 pieces, 24 pieces, 48 pieces | 27
Watercolours | watercolour pans, round brush, watercolour pad, mixing palette | landscapes, urban sketching, washes, botanical art
Drawing | drawing pencils, charcoal sticks, sketchbook, kneaded eraser | life drawing, portraits, shading, sketching
Oil painting | oil paints, palette knife, stretched canvas, field easel | still life, impasto, colour mixing, studios
Printmaking | lino cutters, ink roller, printing press, block ink | linocuts, greeting cards, editions, bold shapes
# Crafts and play | Board games | cooperative, two-player, award-winning, family, big | travel edition, classic edition, deluxe edition | 34
Strategy games | castle building game, trading game, railway game, civilisation game | clever plans, resources, long evenings, rivals
Card games | trick-taking game, deck building game, bluffing game, memory cards | quick rounds, holidays, pubs, bluffing
Puzzles | jigsaw puzzle, wooden puzzle, puzzle board, brain teaser | patience, rainy days, landscapes, logic
Role-playing games | adventure book, dice set, dungeon map, game master screen | heroes, dungeons, storytelling, friends
# Crafts and play | Children | wooden, musical, colourful, Montessori, handmade | age 1, age 3, age 5, age 8 | 26
Building toys | building blocks, marble run, train set, construction kit | towers, small engineers, physics, siblings
Soft toys | teddy bear, hand puppet, rag doll, plush rabbit | cuddles, bedtime, comfort, babies
Outdoor toys | kite, sandpit set, balance bike, bubble set | gardens, beaches, windy days, playgrounds
Picture books | bedtime book, animal book, counting book, fairy tale book | reading aloud, good night, learning words, lap time
"""


def leaves() -> list[Leaf]:
    """Every leaf of the shop, grouped by category."""
    found: list[Leaf] = []
    for line in _WORDS.strip().splitlines():
        fields = [field.strip() for field in line.removeprefix("#").split("|")]
        if line.startswith("#"):
            department, category, makes, sizes, price = fields
        else:
            name, nouns, uses = fields
            found.append(
                Leaf(department, category, name, _list(nouns), _list(uses), _list(makes), _list(sizes), float(price)),
            )
    return found


def _list(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(","))
