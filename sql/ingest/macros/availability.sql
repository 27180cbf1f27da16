-- Whether a stock word means that an item is available: English, German, French, Spanish, Chinese, schema.org. Null for other words.
create or replace temp macro availability(text) as case
    when try_cast(text as double) in (0, 1) then try_cast(text as double) = 1
    when regexp_replace(regexp_replace(lower(text), '^https?://schema\.org/', ''), '[\s_.!-]+', '', 'g') in (
        'true', 't', 'yes', 'y', 'on', 'available', 'instock', 'inventory', 'instoreonly', 'onlineonly',
        'limitedavailability', 'active', 'preorder', 'presale', 'backorder', 'backordered', 'lowstock',
        'wahr', 'ja', 'j', 'verfügbar', 'verfuegbar', 'lieferbar', 'vorrätig', 'vorraetig', 'auflager', 'aktiv',
        'sofortlieferbar', 'sofortverfügbar', 'sofortverfuegbar', 'vorbestellbar', 'bestellbar', 'lagernd', 'imlager',
        'vrai', 'oui', 'o', 'disponible', 'disponibles', 'enstock', 'actif', 'précommande', 'surcommande', 'livrable',
        'verdadero', 'sí', 'si', 's', 'enexistencias', 'enexistencia', 'hayexistencias', 'activo', 'hay', 'haystock', 'constock',
        'bajopedido',
        '是', '真', '有', '有货', '有貨', '现货', '現貨', '有库存', '有庫存', '库存充足', '可售', '在售', '上架', '已上架', '预售', '可用', '在库', '在庫', '充足', '可购买', '现货供应'
    ) then true
    when regexp_replace(regexp_replace(lower(text), '^https?://schema\.org/', ''), '[\s_.!-]+', '', 'g') in (
        'false', 'f', 'no', 'n', 'off', 'unavailable', 'notavailable', 'outofstock', 'soldout', 'discontinued', 'inactive', 'nostock',
        'notinstock',
        'falsch', 'nein', 'nichtverfügbar', 'nichtverfuegbar', 'nichtlieferbar', 'nichtvorrätig', 'nichtvorraetig', 'nichtauflager',
        'ausverkauft', 'vergriffen', 'inaktiv', 'nichtbestellbar', 'nichtlagernd', 'nichtmehrlieferbar', 'nichtmehrverfügbar',
        'derzeitnichtlieferbar', 'derzeitnichtverfügbar',
        'faux', 'non', 'indisponible', 'nondisponible', 'épuisé', 'epuise', 'épuisée', 'rupture', 'rupturedestock',
        'enrupturedestock', 'enrupture', 'horsstock', 'inactif', 'plusdisponible', 'stockepuise', 'stocképuisé',
        'falso', 'nodisponible', 'agotado', 'agotada', 'sinexistencias', 'sinexistencia', 'sinstock', 'fueradestock', 'inactivo',
        'nohay', 'nohaystock', 'agotados', 'descatalogado',
        '否', '假', '无', '無', '没有', '无货', '無貨', '缺货', '缺貨', '无库存', '無庫存', '售罄', '已售罄', '断货', '斷貨', '下架', '已下架', '停售', '不可用', '补货中',
        '不可售', '卖完', '已卖完', '卖光', '停产', '不可购买'
    ) then false
end
